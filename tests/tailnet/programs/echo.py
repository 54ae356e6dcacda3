# SPDX-License-Identifier: MIT
"""Sends back what comes, after one line that says who the server saw."""
import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(f"{self.client_address[0]} {self.client_address[1]}\n".encode())
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
