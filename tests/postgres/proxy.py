"""A proxy in front of a server that cuts connections at the worst moments."""

import contextlib
import select
import socket
import threading


class Proxy:
    """
    Passes on what comes, until it is told to cut.

    `cut_answers`: the next thing with this text that a client sends reaches the server, its answer
    nobody. `cut_questions`: it reaches nobody.
    """

    def __init__(self, port):
        self._target = ("127.0.0.1", port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._cut = None
        self.has_cut = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_answers(self, text):
        """See the class."""
        self.has_cut.clear()
        self._cut = (text.encode(), True)

    def cut_questions(self, text):
        """See the class."""
        self.has_cut.clear()
        self._cut = (text.encode(), False)

    def close(self):
        """Take no more connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client):
        with client, socket.create_connection(self._target) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                source, target = (client, server) if client in ready else (server, client)
                try:
                    data = source.recv(65536)
                except ConnectionError:
                    return
                if not data:
                    return
                if source is client and self._cut is not None and self._cut[0] in data:
                    (_, is_answer), self._cut = self._cut, None
                    if is_answer:
                        server.sendall(data)
                        server.recv(65536)  # it did what was asked
                    self.has_cut.set()
                    return
                with contextlib.suppress(ConnectionError):
                    target.sendall(data)
