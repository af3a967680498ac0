"""Joins standard input and output to a TCP port: a server inside a test looks to a client like a program that it started."""

import socket
import sys
import threading

stream = socket.create_connection(("127.0.0.1", int(sys.argv[1])))


def send():
    while chunk := sys.stdin.buffer.read1(65536):
        stream.sendall(chunk)
    stream.shutdown(socket.SHUT_WR)


threading.Thread(target=send, daemon=True).start()
while chunk := stream.recv(65536):
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
