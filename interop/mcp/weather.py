"""A weather server, after the documentation of the MCP Python SDK 2.x.

    weather.py                 over stdio
    weather.py PORT [TOKEN]    over SSE; with a token, whoever does not show it is refused
"""

import sys
from typing import Annotated

import uvicorn
from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult, MCPServer, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

mcp = MCPServer("weather", instructions="Ask for the weather of one place at a time.")


class Weather(BaseModel):
    location: str
    celsius: float


class Unit(BaseModel):
    unit: str = "celsius"


def celsius(location: str) -> float:
    """Any number will do, as long as whoever knows the location can work it out again."""
    return sum(location.encode()) % 400 / 10 - 5


@mcp.tool()
def get_weather(location: str) -> Weather:
    """Get the current weather at a location."""
    return Weather(location=location, celsius=celsius(location))


@mcp.tool()
async def get_forecast(location: str, days: int, ctx: Context) -> list[float]:
    """Get the temperatures of the next days, one after the other."""
    for day in range(1, days + 1):
        await ctx.report_progress(day, days, f"day {day}")
        await ctx.info(f"worked out day {day} of {location}")
    return [celsius(location) + day for day in range(1, days + 1)]


def ask_unit() -> Elicit[Unit]:
    return Elicit("Which unit, celsius or fahrenheit?", Unit)


@mcp.tool()
def get_weather_in_unit(location: str, answer: Annotated[ElicitationResult[Unit], Resolve(ask_unit)]) -> str:
    """Get the temperature in the unit that the person prefers."""
    if not isinstance(answer, AcceptedElicitation):
        return f"no unit: {answer.action}"
    degrees = celsius(location)
    if answer.data.unit == "fahrenheit":
        degrees = degrees * 9 / 5 + 32
    return f"{degrees:.1f} {answer.data.unit}"


@mcp.tool()
def get_storm_warning(location: str) -> str:
    """Get the storm warning of a location; there is none that has one."""
    raise ToolError(f"no storm station near {location}")


@mcp.resource("weather://stations")
def stations() -> str:
    """The places that have a station of their own."""
    return "Paris, London"


@mcp.resource("weather://{location}/now")
def now(location: str) -> str:
    """The temperature at a location."""
    return f"{celsius(location):.1f}"


@mcp.prompt()
def pack(location: str, days: str = "1") -> str:
    """Ask what to pack."""
    return f"What do I pack for {days} days in {location}?"


def guarded(app, token: str):
    async def serve(scope, receive, send):
        shown = dict(scope.get("headers", [])).get(b"authorization", b"")
        if scope["type"] == "http" and shown != f"Bearer {token}".encode():
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"no token"})
            return
        await app(scope, receive, send)

    return serve


if __name__ == "__main__":
    if len(sys.argv) == 1:
        mcp.run()
    else:
        app = mcp.sse_app()
        if len(sys.argv) > 2:
            app = guarded(app, sys.argv[2])
        uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
