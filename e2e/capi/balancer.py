#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What stands before the API servers of a cluster: balancer.py ADDRESS PORT SERVER...

A connection goes to one of those that say they are ready; each is asked once a second, at the same PORT. When one has twice not said so, its
connections are cut: its machine may be gone, and nobody would tell them.
"""
import asyncio
import random
import ssl
import sys

ADDRESS, PORT, SERVERS = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE
ready = {}  # of each server that is: its connections' tasks


async def says_ready(server):
    reader, writer = await asyncio.open_connection(server, PORT, ssl=TLS)
    try:
        writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
        return b" 200 " in await reader.readline()
    finally:
        writer.close()


async def watch(server):
    failures = 0
    while True:
        try:
            is_ready = await asyncio.wait_for(says_ready(server), 5)
        except (OSError, asyncio.TimeoutError):
            is_ready = False
        failures = 0 if is_ready else failures + 1
        if is_ready and server not in ready:
            print(server, "is ready", flush=True)
            ready[server] = set()
        elif failures == 2 and server in ready:
            print(server, "is gone", flush=True)
            for task in ready.pop(server):
                task.cancel()
        await asyncio.sleep(1)


async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def serve(reader, writer):
    tasks = set()
    ends = [writer]
    try:
        server = random.choice(list(ready))
        back = await asyncio.wait_for(asyncio.open_connection(server, PORT), 5)
        ends.append(back[1])
        tasks = {asyncio.ensure_future(copy(reader, back[1])), asyncio.ensure_future(copy(back[0], writer))}
        ready[server].update(tasks)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    except (OSError, asyncio.TimeoutError, LookupError):
        pass  # none is ready, or that one is gone: the client asks again
    for task in tasks:
        task.cancel()
        for those in ready.values():
            those.discard(task)
    await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        end.close()


async def main():
    for server in SERVERS:
        asyncio.ensure_future(watch(server))
    async with await asyncio.start_server(serve, ADDRESS, PORT) as server:
        await server.serve_forever()


asyncio.run(main())
