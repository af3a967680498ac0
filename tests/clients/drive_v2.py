"""Drives a server with the Python package `mcp` 2.x: `drive_v2.py MODE http URL` or `drive_v2.py MODE stdio COMMAND ARG…`.

MODE is `auto`, `legacy` or a revision of the protocol. Prints what the client saw as one JSON object.
"""

import asyncio
import json
import pathlib
import sys

from mcp import Client, StdioServerParameters

PROGRAMS = json.loads(pathlib.Path(__file__).with_name("programs.json").read_text())


def seen(result):
    return {"isError": result.is_error, "text": result.content[0].text, "structured": result.structured_content}


async def main(mode, kind, target):
    server = target[0] if kind == "http" else StdioServerParameters(command=target[0], args=target[1:])
    progress = []

    async def on_progress(done, total, message):
        progress.append([done, message])

    async with Client(server, mode=mode) as client:
        tools = await client.list_tools()
        two = await client.call_tool("execute", {"code": PROGRAMS["two"]})
        fails = await client.call_tool("execute", {"code": PROGRAMS["fails"]})
        slow = await client.call_tool("execute", {"code": PROGRAMS["slow"]}, progress_callback=on_progress)
        big = await client.call_tool("execute", {"code": PROGRAMS["big"]})
        started = await client.call_tool("execute", {"code": PROGRAMS["slow"], "waitForResult": False})
        task = {"taskId": started.structured_content["taskId"]}
        polled = await client.call_tool("task_get", task | {"waitMs": 10000})
        endless = await client.call_tool("execute", {"code": PROGRAMS["endless"], "waitForResult": False})
        cancelled = await client.call_tool("task_cancel", {"taskId": endless.structured_content["taskId"]})
        listed = await client.call_tool("task_list", {})
        bad = await client.call_tool("execute", {"code": PROGRAMS["two"], "timeout": 5})
        print(
            json.dumps(
                {
                    "version": str(client.protocol_version),
                    "tools": [tool.name for tool in tools.tools],
                    "two": seen(two),
                    "fails": seen(fails),
                    "slow": seen(slow),
                    "big": seen(big),
                    "polled": seen(polled),
                    "cancelled": seen(cancelled),
                    "listed": seen(listed),
                    "bad": seen(bad),
                    "progress": progress,
                }
            )
        )


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
