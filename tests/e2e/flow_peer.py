#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Both ends of plain TCP and UDP for the tests of flow services, over ordinary sockets.

    flow_peer.py serve ADDRESS,… PORT NAME       answers every line or datagram with "NAME: it"
    flow_peer.py tcp ADDRESS PORT CONNECTIONS    that many, 200 at a time, three lines on each
    flow_peer.py bulk ADDRESS PORT CONNECTIONS   the same with lines of 40 KB: full segments
    flow_peer.py udp ADDRESS PORT FLOWS          a socket each, three datagrams on each
    flow_peer.py hold ADDRESS PORT CONNECTIONS   opens them and says "open"; then for each line on
                                                 its standard input one line on every connection
    flow_peer.py tunnel KIND ADDRESS TUN         takes ipip or gue (UDP 6080) at ADDRESS apart and
                                                 hands what is inside to the kernel through TUN

Clients print one JSON object: {"ok", "errors", "nodes": {name: flows}, "moved": flows whose node
changed}.
"""

import asyncio
import collections
import fcntl
import json
import os
import select
import socket
import struct
import sys

AT_ONCE = 200
ROUNDS = 3
PATIENCE_S = 20


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


async def serve(addresses, port, name):
    async def session(reader, writer):
        try:
            while line := await reader.readline():
                writer.write(name.encode() + b": " + line)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    class Datagrams(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, peer):
            self.transport.sendto(name.encode() + b": " + data, peer)

    # A UDP socket for each address: one for all of them would not answer from the right one.
    for address in addresses.split(","):
        udp = socket.socket(family(address), socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        udp.bind((address, port))
        await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, sock=udp)
    server = await asyncio.start_server(session, addresses.split(","), port, backlog=4096)
    await server.serve_forever()


class Tally:
    def __init__(self):
        self.ok, self.moved, self.errors = 0, 0, collections.Counter()
        self.nodes = collections.Counter()

    def flow(self, names):
        self.ok += 1
        self.moved += len(set(names)) > 1
        self.nodes[names[0]] += 1

    def show(self):
        print(json.dumps({"ok": self.ok, "moved": self.moved, "errors": dict(self.errors),
                          "nodes": dict(self.nodes)}), flush=True)


async def ask(reader, writer, text):
    writer.write(text.encode() + b"\n")
    answer = await asyncio.wait_for(reader.readline(), PATIENCE_S)
    name, _, rest = answer.decode().rstrip("\n").partition(": ")
    if rest != text:
        raise ValueError(f"answer {answer!r}")
    return name


async def tcp_flow(address, port, number, tally, turn, filler=""):
    async with turn:
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port),
                                                    PATIENCE_S)
            names = [await ask(reader, writer, f"{number}.{n}{filler}")
                     for n in range(ROUNDS)]
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), PATIENCE_S)
            tally.flow(names)
        except Exception as error:  # every failure is one count
            tally.errors[f"{type(error).__name__} {error}"] += 1


async def tcp(address, port, count, filler=""):
    tally, turn = Tally(), asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(tcp_flow(address, port, n, tally, turn, filler) for n in range(count)))
    tally.show()


async def bulk(address, port, count):
    await tcp(address, port, count, "x" * 40_000)


async def udp_flow(address, port, number, tally, turn):
    async with turn:
        loop = asyncio.get_running_loop()
        with socket.socket(family(address), socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            s.connect((address, port))
            names = []
            try:
                for n in range(ROUNDS):
                    text = f"{number}.{n}"
                    await loop.sock_sendall(s, text.encode())
                    answer = await asyncio.wait_for(loop.sock_recv(s, 2048), PATIENCE_S)
                    name, _, rest = answer.decode().partition(": ")
                    if rest != text:
                        raise ValueError(f"answer {answer!r}")
                    names.append(name)
                tally.flow(names)
            except Exception as error:
                tally.errors[f"{type(error).__name__} {error}"] += 1


async def udp(address, port, count):
    tally, turn = Tally(), asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(udp_flow(address, port, n, tally, turn) for n in range(count)))
    tally.show()


async def hold(address, port, count):
    """A line on standard input is a round; the connections stay open in between."""
    connections = []
    for _ in range(count):
        connections.append(await asyncio.wait_for(asyncio.open_connection(address, port),
                                                  PATIENCE_S))
    names = [[] for _ in connections]
    print("open", flush=True)
    for line in iter(sys.stdin.readline, ""):
        tally = Tally()
        for n, (reader, writer) in enumerate(connections):
            try:
                names[n].append(await ask(reader, writer, f"{line.strip()}.{n}"))
                tally.flow(names[n])
            except Exception as error:
                tally.errors[f"{type(error).__name__} {error}"] += 1
        tally.show()


def open_tun(name):
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH", name.encode(), 0x1001))  # IFF_TUN, NO_PI
    return tun


def tunnel(kind, address, name):
    tun = open_tun(name)
    version = family(address)
    sockets = []
    if kind == "gue":
        s = socket.socket(version, socket.SOCK_DGRAM)
        s.bind((address, 6080))
        sockets.append(s)
    else:
        for protocol in (4, 41):
            s = socket.socket(version, socket.SOCK_RAW, protocol)
            s.bind((address, 0))
            sockets.append(s)
    for s in sockets:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    print("ready", flush=True)
    while True:
        for s in select.select(sockets, [], [])[0]:
            packet = s.recv(65535)
            if kind == "gue":
                packet = packet[4:]
            elif version == socket.AF_INET:  # a raw socket shows the outer header
                packet = packet[(packet[0] & 15) * 4:]
            os.write(tun, packet)


def main():
    what, *rest = sys.argv[1:]
    if what == "tunnel":
        return tunnel(*rest)
    address, port, last = rest
    function = {"serve": serve, "tcp": tcp, "bulk": bulk, "udp": udp, "hold": hold}[what]
    return asyncio.run(function(address, int(port), last if what == "serve" else int(last)))


if __name__ == "__main__":
    main()
