"""Serves the handler functions of a client's script, as SageMaker's framework images do.

`python script_server.py <code folder> <program> <model folder>`: `model_fn(model_dir)` loads the model,
`input_fn(body, content_type)`, `predict_fn(data, model)` and `output_fn(prediction, accept)` answer, or
`transform_fn(model, body, content_type, accept)` alone. What the script does not define has the
defaults of those images.
"""

import importlib
import inspect
import io
import json
import os
import signal
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"


class Unsupported(Exception):
    """A type of content that the script cannot read or write."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def default_input(body, content_type):
    import numpy

    kind = content_type.split(";")[0].strip()
    if kind == JSON:
        return numpy.array(json.loads(body.decode("utf-8")))
    if kind == CSV:
        return numpy.genfromtxt(io.StringIO(body.decode("utf-8")), delimiter=",")
    if kind == NPY:
        return numpy.load(io.BytesIO(body), allow_pickle=False)
    raise Unsupported(415, "Content type {} is not supported by this model.".format(content_type))


def default_predict(data, model):
    return model.predict(data)


def default_output(prediction, accept):
    import numpy

    kind = accept.split(",")[0].split(";")[0].strip()
    if kind in (NPY, "*/*", ""):
        written = io.BytesIO()
        numpy.save(written, numpy.asarray(prediction), allow_pickle=False)
        return written.getvalue(), NPY
    if kind == JSON:
        plain = prediction.tolist() if hasattr(prediction, "tolist") else prediction
        return json.dumps(plain), JSON
    if kind == CSV:
        written = io.StringIO()
        numpy.savetxt(written, numpy.asarray(prediction), delimiter=",", fmt="%s")
        return written.getvalue(), CSV
    raise Unsupported(406, "Accept type {} is not supported by this model.".format(accept))


def call(function, *arguments):
    """Calls a handler with as many arguments as it takes: newer ones take a context at the end."""
    parameters = inspect.signature(function).parameters.values()
    if any(one.kind == one.VAR_POSITIONAL for one in parameters):
        return function(*arguments)
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    padded = arguments + (None,) * len(positional)
    return function(*padded[: max(len(arguments), len(positional))])


class Script:
    """The handlers of a script and the model that they have loaded."""

    def __init__(self, code, program, model_folder):
        sys.path.insert(0, code)
        name = program[:-3] if program.endswith(".py") else program
        module = importlib.import_module(name.replace("/", "."))
        load = getattr(module, "model_fn", None)
        if load is None:
            raise RuntimeError(
                "{} defines no model_fn(model_dir), which has to load the model.".format(program)
            )
        self._transform = getattr(module, "transform_fn", None)
        self._input = getattr(module, "input_fn", default_input)
        self._predict = getattr(module, "predict_fn", default_predict)
        self._output = getattr(module, "output_fn", default_output)
        self._model = call(load, model_folder)

    def answer(self, body, content_type, accept):
        """The body of the answer and its type."""
        if self._transform is not None:
            answered = call(self._transform, self._model, body, content_type, accept)
        else:
            data = call(self._input, body, content_type)
            answered = call(self._output, call(self._predict, data, self._model), accept)
        written, kind = answered if isinstance(answered, tuple) else (answered, accept)
        if hasattr(written, "get_data"):
            written, kind = written.get_data(), written.mimetype
        return written.encode("utf-8") if isinstance(written, str) else bytes(written), kind


def handler_of(script):
    """The HTTP side of a script."""
    default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Small answers would wait for the acknowledgement of their headers.
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self):
            self._send(200 if self.path == "/ping" else 404, b"", "text/plain")

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path != "/invocations":
                self._send(404, b"", "text/plain")
                return
            content_type = self.headers.get("Content-Type") or JSON
            accept = self.headers.get("Accept") or default_accept
            if accept.strip() == "*/*":
                accept = default_accept
            try:
                answer, kind = script.answer(body, content_type, accept)
                self._send(200, answer, kind)
            except Unsupported as error:
                self._send(error.status, str(error).encode("utf-8"), "text/plain")
            except Exception as error:
                traceback.print_exc()
                message = "{}: {}".format(type(error).__name__, error)
                self._send(500, message.encode("utf-8"), "text/plain")

        def _send(self, status, body, kind):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, *arguments):
            pass

    return Handler


class Server(ThreadingHTTPServer):
    """One thread for each connection."""

    daemon_threads = True
    request_queue_size = 128


def main():
    code, program, model_folder = sys.argv[1:4]
    # Handlers of ours import it by this name.
    sys.modules["script_server"] = sys.modules["__main__"]
    script = Script(code, program, model_folder)
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT") or 8080)
    server = Server(("127.0.0.1", port), handler_of(script))

    def end(_number, _frame):
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    print("The model of {} answers at port {}.".format(program, port), flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
