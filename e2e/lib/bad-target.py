# SPDX-License-Identifier: Apache-2.0
"""usage: bad-target.py KIND PORT CERTIFICATE KEY

An API server on loopback with one node and nothing else, that lists and follows as it should, and then is

silent     never answers a question that is neither a list nor a watch
flapping   ends every connection after a second, and every other second takes none
flooding   always has news of its node
paging     always has another page of nodes
slow       takes two seconds for each answer"""
import itertools
import json
import socketserver
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler

KIND, PORT = sys.argv[1], int(sys.argv[2])
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
TLS.load_cert_chain(sys.argv[3], sys.argv[4])
COUNT = itertools.count(100)


def node():
    version = str(next(COUNT))
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "uid": "n", "resourceVersion": version, "annotations": {"filler": "x" * 2000}},
            "status": {"nodeInfo": {"kubeletVersion": f"v1.33.{int(version) % 9}", "operatingSystem": "linux"}}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, body):
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def follow(self, nodes):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        if KIND == "flapping":
            time.sleep(1)
            return
        while nodes and KIND == "flooding":
            self.wfile.write(json.dumps({"type": "MODIFIED", "object": node()}).encode() + b"\n")
        time.sleep(3600)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        nodes = path == "/api/v1/nodes"
        if KIND == "slow":
            time.sleep(2)
        if "watch=true" in query:
            self.follow(nodes)
        elif path == "/api/v1/namespaces/kube-system":
            self.answer(200, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": KIND}})
        elif nodes or path.endswith(("/pods", "/nodedraconfigurations")):
            more = {"continue": "more"} if nodes and KIND == "paging" else {}
            items = [node()] * (100 if more else 1) if nodes else []
            self.answer(200, {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "50", **more}, "items": items})
        elif KIND == "silent":
            print("asked for", path, flush=True)
            time.sleep(3600)
        elif path == "/version":
            self.answer(200, {"major": "1", "minor": "33", "gitVersion": "v1.33.13"})
        else:
            self.answer(404, {"kind": "Status", "code": 404, "message": "not found"})


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def finish_request(self, request, client_address):
        if KIND == "flapping" and int(time.time()) % 2:
            return
        with TLS.wrap_socket(request, server_side=True) as secure:
            if KIND == "flapping":
                secure.settimeout(1)
            self.RequestHandlerClass(secure, client_address, self)

    def handle_error(self, request, client_address):
        pass


Server(("127.0.0.1", PORT), Handler).serve_forever()
