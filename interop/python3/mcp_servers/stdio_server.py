"""A weather server over stdio, after the documentation of the MCP Python SDK 2.x."""

from mcp.server.mcpserver import MCPServer

mcp = MCPServer("weather")


def temperature_of(location: str) -> float:
    """Any number will do, as long as whoever knows the location can work it out again."""
    return sum(location.encode()) % 400 / 10 - 5


@mcp.tool()
def get_weather(location: str) -> float:
    """Get the current temperature at a location, in degrees Celsius."""
    return temperature_of(location)


if __name__ == "__main__":
    mcp.run()
