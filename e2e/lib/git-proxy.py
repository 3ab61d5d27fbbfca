# SPDX-License-Identifier: Apache-2.0
"""usage: git-proxy.py PORT USER:PASSWORD

An HTTP proxy on loopback that knows CONNECT alone and wants a password. It prints each target that it lets through."""
import base64
import select
import socket
import socketserver
import sys

WANTED = "Basic " + base64.b64encode(sys.argv[2].encode()).decode()


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        words = self.rfile.readline().decode().split()
        headers = {}
        while (line := self.rfile.readline().strip()):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("proxy-authorization") != WANTED:
            self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        print(*words[:2], flush=True)
        host, _, port = words[1].rpartition(":")
        with socket.create_connection((host, int(port))) as target:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            self.copy(target)

    def copy(self, target):
        other = {self.connection: target, target: self.connection}
        while True:
            for end in select.select(list(other), [], [])[0]:
                block = end.recv(65536)
                if not block:
                    return
                other[end].sendall(block)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
