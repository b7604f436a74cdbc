"""Answers the scoring requests of one MLflow model, in the model's own environment.

    python -u scoring_worker.py MODEL_DIRECTORY THREADS

File descriptor 3 is a stream socket to the server. A frame is two big-endian 32-bit lengths, a JSON
header and a body. The server sends {"id", "type"} with the bytes of a request, "type" being its
Content-Type. The worker sends {"ready", "mlflow", "python"} or {"failed"} once, then
{"id", "status", "type"} with the bytes of each answer, in any order; a "notice" beside them tells
whoever asked that the way of asking is old. {"ping"} is sent back at once, which shows that no
request holds the interpreter.

Requests are read and answers are written by the scoring server of whichever MLflow is installed, so
that they are what that release takes and gives. With MLflow 2 and newer the bodies of MLflow 1 are
understood as well. Needs nothing besides; runs on Python 3.6 and newer.
"""

import ctypes
import gc
import io
import json
import os
import platform
import signal
import socket
import struct
import sys
import threading
import traceback

CHANNEL = 3
LENGTHS = struct.Struct(">II")
JSON = "application/json"
# The functions of MLflow's that turn what the model gave into text.
WRITERS = ("predictions_to_json", "unwrapped_predictions_to_json")
# What MLflow 1 took as `application/json; format=NAME`, and the key that it has had since.
OLD_FORMATS = {"pandas-split": "dataframe_split", "pandas-records": "dataframe_records"}
NOTICE = (
    "The request is in the format of MLflow 1.x; since MLflow 2.0 it is written "
    '{"%s": ...} with the type application/json, and the answer is {"predictions": ...}'
)


class Channel:
    def __init__(self, descriptor):
        os.set_inheritable(descriptor, False)
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(True)
        self._input = self._socket.makefile("rb", 1 << 16)
        self._reading = threading.Lock()
        self._writing = threading.Lock()

    def receive(self):
        """The next frame as (header, body), or None when the server has closed its end."""
        with self._reading:
            lengths = self._input.read(LENGTHS.size)
            if len(lengths) < LENGTHS.size:
                return None
            header_length, body_length = LENGTHS.unpack(lengths)
            return json.loads(self._input.read(header_length).decode()), self._input.read(body_length)

    def send(self, header, body=b""):
        text = json.dumps(header).encode()
        with self._writing:
            self._socket.sendall(LENGTHS.pack(len(text), len(body)) + text)
            if body:
                self._socket.sendall(body)


def load(directory):
    """The model as a function from (content type, body) to (status, content type, body, notice)."""
    from mlflow.version import VERSION

    answer = answers_of(directory)
    if VERSION.startswith(("0.", "1.")):
        return lambda content_type, body: answer(content_type, body) + (None,)
    return with_old_bodies(answer)


def answers_of(directory):
    from mlflow.pyfunc import scoring_server

    load_model = getattr(scoring_server, "load_model_with_mlflow_config", scoring_server.load_model)
    model = load_model(directory)
    # What MLflow 2.8 and newer tell a model's code that runs behind a server.
    os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"
    if hasattr(scoring_server, "invocations"):
        return by_function(scoring_server.invocations, model)
    return by_application(scoring_server.init(model))


def by_function(invocations, model):
    from mlflow.exceptions import MlflowException

    input_schema = model.metadata.get_input_schema()

    def answer(content_type, body):
        try:
            response = invocations(body, content_type, model, input_schema)
        except MlflowException as error:
            text = error.serialize_as_json()
            return error.get_http_status_code(), JSON, text.encode()
        except Exception as error:
            if passed_through(error, WRITERS):
                raise
            # A request that MLflow's reader stumbles over, such as one nested a thousand deep.
            return problem(400, "BAD_REQUEST", "The request cannot be read: " + describe(error))
        charset = "; charset=utf-8" if response.mimetype.startswith("text/") else ""
        return response.status, response.mimetype + charset, response.response.encode()

    return answer


def by_application(application):
    """For releases before 2.9, whose only entrance is the WSGI application of their server."""

    def answer(content_type, body):
        started = {}

        def start_response(status, headers, exc_info=None):
            started["status"] = int(status.split(" ", 1)[0])
            started["type"] = dict((name.lower(), value) for name, value in headers)["content-type"]

        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/invocations",
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        parts = application(environ, start_response)
        try:
            return started.get("status"), started.get("type"), b"".join(parts)
        finally:
            getattr(parts, "close", lambda: None)()

    return answer


def with_old_bodies(answer):
    """Takes what MLflow 1 took, in its own way of answering, where the model's MLflow refuses it."""
    noted = threading.Lock()

    def either(content_type, body):
        plain_type, key = without_old_format(content_type)
        if key is None:
            given = answer(content_type, body)
            key = key_of_old_shape(body) if given[0] == 400 and plain_type == JSON else None
            if key is None:
                return given + (None,)
        elif parsed(body) is None:
            return answer(plain_type, body) + (None,)
        notice = NOTICE % key
        if noted.acquire(False):
            sys.stderr.write(notice + ".\n")
        status, kind, text = answer(plain_type, b'{"' + key.encode() + b'": ' + body + b"}")
        start = b'{"predictions": '
        if status == 200 and text.startswith(start):
            text = text[len(start) : -1]
        return status, kind, text, notice

    return either


def without_old_format(content_type):
    """A type without its `format`, and the key that stands for that since MLflow 2."""
    kind, *parameters = [part.strip() for part in content_type.split(";")]
    names = [part[len("format=") :] for part in parameters if part.startswith("format=")]
    if kind != JSON or len(names) != 1 or names[0] not in OLD_FORMATS:
        return kind, None
    others = [part for part in parameters if not part.startswith("format=")]
    return "; ".join([kind] + others), OLD_FORMATS[names[0]]


def key_of_old_shape(body):
    """The key that a body is missing which holds nothing but rows, or columns and their rows."""
    if not body.lstrip().startswith(b"[") and b'"columns"' not in body:
        return None
    value = parsed(body)
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return "dataframe_records"
    if isinstance(value, dict) and {"columns", "data"} <= set(value) <= {"columns", "data", "index"}:
        return "dataframe_split"
    return None


def parsed(body):
    """What a body of JSON holds; None for null, and when it holds no JSON."""
    try:
        return json.loads(body.decode())
    except (ValueError, RecursionError):
        return None


def work(channel, answer, closed):
    """Reads a request and answers it, while other threads wait to read the next."""
    while True:
        frame = channel.receive()
        if frame is None:
            closed.set()
            return
        header, body = frame
        if "ping" in header:
            channel.send(header)
            continue
        notice = None
        try:
            status, content_type, text, notice = answer(header["type"], body)
        except BaseException as error:
            traceback.print_exc()
            message = "The model's answer cannot be written: " + describe(error)
            status, content_type, text = problem(500, "INTERNAL_ERROR", message)
        head = {"id": header["id"], "status": status, "type": content_type}
        channel.send(head if notice is None else dict(head, notice=notice), text)


def problem(status, code, message):
    return status, JSON, json.dumps({"error_code": code, "message": message}).encode()


def passed_through(error, names):
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_name in names for frame, _ in frames)


def describe(error):
    return "".join(traceback.format_exception_only(type(error), error)).strip()


def main():
    directory, threads = sys.argv[1], int(sys.argv[2])
    if sys.platform == "linux":
        # A model stuck in native code would outlive a server that was killed: PR_SET_PDEATHSIG.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    # As under the stock server, modules beside the person who serves can be imported; ours cannot.
    sys.path[0] = os.getcwd()
    channel = Channel(CHANNEL)
    try:
        answer = load(directory)
        from mlflow.version import VERSION
    except BaseException as error:
        traceback.print_exc()
        channel.send({"failed": describe(error)})
        sys.exit(1)
    # What has been loaded stays: looking for garbage among a million objects slows every request.
    gc.collect()
    getattr(gc, "freeze", lambda: None)()
    channel.send({"ready": True, "mlflow": VERSION, "python": platform.python_version()})
    closed = threading.Event()
    # One more than can be busy, so that somebody always reads.
    for _ in range(threads + 1):
        threading.Thread(target=work, args=(channel, answer, closed), daemon=True).start()
    closed.wait()


main()
