"""Drives a Windows machine of the sandbox with pywinrm and pypsrp.

Usage: winrm.py HOST ntlm|basic. With `ntlm` the machine refuses Basic and
messages that are not encrypted. Every check prints a line; the first that fails
ends the program.
"""

import sys

import urllib3
import winrm
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import WSMan
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError

USER, PASSWORD = "Administrator", "Test1234"


def check(what, actual, expected):
    if actual != expected:
        sys.exit(f"{what}: {actual!r} instead of {expected!r}")
    print(f"ok: {what}", flush=True)


def by_pywinrm(host, login, scheme):
    transport = "ntlm" if login == "ntlm" else "basic"
    port = 5986 if scheme == "https" else 5985
    name = f"pywinrm {transport} {scheme}"

    def session(password):
        return winrm.Session(
            f"{scheme}://{host}:{port}/wsman",
            auth=(USER, password),
            transport=transport,
            server_cert_validation="ignore",
        )

    good = session(PASSWORD)
    run = good.run_cmd("echo", ["one", "two"])
    check(f"{name} command", (run.status_code, run.std_out), (0, b"one two\r\n"))
    run = good.run_cmd("cmd /c exit 3")
    check(f"{name} exit code", run.status_code, 3)
    run = good.run_cmd("no-such-program")
    check(f"{name} unknown command", (run.status_code, b"is not recognized" in run.std_err), (1, True))
    run = good.run_ps('Write-Output "on $env:USERNAME"; exit 4')
    check(f"{name} PowerShell", (run.status_code, run.std_out), (4, b"on Administrator\r\n"))
    run = good.run_ps("throw 'boom'")
    check(f"{name} PowerShell's error", (run.status_code, b"boom" in run.std_err), (1, True))
    try:
        session("wrong").run_cmd("ver")
        refused = False
    except InvalidCredentialsError:
        refused = True
    check(f"{name} wrong password", refused, True)


def by_pypsrp(host, login, ssl):
    name = f"pypsrp {login} {'https' if ssl else 'http'}"
    options = {"auth": login, "ssl": ssl, "cert_validation": False}
    if login == "basic" and not ssl:
        options["encryption"] = "never"
    with WSMan(host, port=5986 if ssl else 5985, username=USER, password=PASSWORD, **options) as wsman:
        with WinRS(wsman, environment={"GREETING": "hello"}) as shell:
            process = Process(shell, "echo %GREETING%")
            process.invoke()
            process.signal(SignalCode.CTRL_C)
            check(f"{name} environment", (process.rc, process.stdout), (0, b"hello\r\n"))
            text = "x" * 4000
            process = Process(shell, f"powershell -Command Write-Output '{text}'")
            process.invoke()
            check(f"{name} long output", process.stdout, text.encode() + b"\r\n")
            process = Process(shell, "shutdown /a")
            process.invoke()
            check(f"{name} no shutdown", process.rc, 1116)


def main():
    urllib3.disable_warnings()
    host, login = sys.argv[1:]
    for scheme in ["http", "https"]:
        by_pywinrm(host, login, scheme)
        by_pypsrp(host, login, scheme == "https")
    if login == "ntlm":
        session = winrm.Session(f"http://{host}:5985/wsman", auth=(USER, PASSWORD), transport="basic")
        try:
            session.run_cmd("ver")
            refused = False
        except (InvalidCredentialsError, WinRMTransportError):
            refused = True
        check("Basic is refused unless it is enabled", refused, True)


main()
