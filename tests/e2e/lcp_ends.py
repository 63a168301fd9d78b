# SPDX-License-Identifier: Apache-2.0
"""A client and a node that write down when each command left and arrived, for tests that ask how
long the data plane kept it. They run in a lab's namespaces; CLOCK_MONOTONIC is the same in all.
Arrivals at the node are the kernel's time stamps: the node's own turn to run is not in them.

    lcp_ends.py client OUT TARGET ORG KEY RATE COUNT [INTENT]
    lcp_ends.py node OUT ADDRESS

The node makes a file OUT.listens when it does. OUT gets a JSON line for each event: {"n", "sent"}, {"n", "at", "status", "reason", "remaining",
"reset", "throttle_ms"} from the client; {"org", "n", "at"} from the node, when it is terminated.
"""

import json
import os
import select
import signal
import socket
import struct
import sys
import time

HEADER = struct.Struct(">HBBBBBBII16s16sQIHH16s")
BODY = struct.Struct(">BBHIII")
REPLY, PROBE, PROBE_REPLY = 2, 5, 6
TAGGED, WANTS_REPLY = 1, 2
SO_TIMESTAMPNS = 35
STATUS = ["ok", "failed", "busy", "denied", "throttled", "held", "expired", "duplicate", "invalid",
          "unroutable", "unauthenticated", "delayed"]


def cmac(key, message):
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.cmac import CMAC
    mac = CMAC(AES(key))
    mac.update(message)
    return mac.finalize()


def command(n, run, org, key, intent):
    fields = [0x4C46, 1, 1, TAGGED | WANTS_REPLY, intent, 1, 0, org, 1,
              struct.pack(">QQ", run, n), bytes(16),
              int((time.time() + 3600) * 1e6), 1, 0, 1, bytes(16)]
    fields[-1] = cmac(key, HEADER.pack(*fields)[:64])
    return HEADER.pack(*fields)


def client(out, target, org, key, rate, count, intent=1):
    rate, count, run = float(rate), int(count), int.from_bytes(os.urandom(8), "big")
    packets = [command(n, run, int(org), bytes.fromhex(key), int(intent)) for n in range(count)]
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    s.connect((target, 7171))
    events, start, n = [], time.monotonic(), 0
    last_answer = start
    while n < count or time.monotonic() - last_answer < 4:  # the longest delay is 2.56 s
        due = start + n / rate if n < count else time.monotonic() + 1
        wait = max(0.0, due - time.monotonic())
        if select.select([s], [], [], wait)[0]:
            data = s.recv(2048)
            now = last_answer = time.monotonic()
            number = struct.unpack(">Q", HEADER.unpack_from(data)[9][8:])[0]
            status, reason, _, remaining, reset, throttle = BODY.unpack_from(data, HEADER.size)
            events.append({"n": number, "at": now, "status": STATUS[status], "reason": reason,
                           "remaining": remaining, "reset": reset, "throttle_ms": throttle})
        while n < count and time.monotonic() >= start + n / rate:
            now = last_answer = time.monotonic()
            s.send(packets[n])
            events.append({"n": n, "sent": now})
            n += 1
    write(out, events)


def received_at(extra):
    to_monotonic = time.monotonic() - time.time()
    for level, kind, value in extra:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, ns = struct.unpack("=qq", value)
            return seconds + ns / 1e9 + to_monotonic
    return time.monotonic()


def node(out, address):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    s.bind((address, 7171))
    open(out + ".listens", "w").close()
    events = []

    def stop(*_):
        write(out, events)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    while True:
        data, extra, _, sender = s.recvmsg(2048, 64)
        now = received_at(extra)
        fields = list(HEADER.unpack_from(data))
        if fields[2] == PROBE:
            fields[2] = PROBE_REPLY
            s.sendto(HEADER.pack(*fields), sender)
            continue
        events.append({"org": fields[7], "n": struct.unpack(">Q", fields[9][8:])[0], "at": now})
        fields[2], fields[3], fields[13], fields[15] = REPLY, 0, BODY.size, bytes(16)
        s.sendto(HEADER.pack(*fields) + BODY.pack(0, 0, 0, 0, 0, 0), sender)


def write(out, events):
    with open(out + ".part", "w") as file:
        file.writelines(json.dumps(e) + "\n" for e in events)
    os.rename(out + ".part", out)


def read(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    {"client": client, "node": node}[sys.argv[1]](*sys.argv[2:])
