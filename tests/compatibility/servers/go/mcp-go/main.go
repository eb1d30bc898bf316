// A server with github.com/mark3labs/mcp-go: server TRANSPORT VARIANT [PORT ORIGIN]
//
// The variant may be `stateful` or `stateless`. ORIGIN is the address that clients use: this SDK names it in the `endpoint` event. The
// other files have what only some versions can do.
package main

import (
	"context"
	"log"
	"os"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

func echo(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultText("text"), nil
}

func main() {
	s := server.NewMCPServer("compatibility", "1.0.0")
	s.AddTool(mcp.NewTool("echo", mcp.WithDescription("Return the text."), mcp.WithString("text")), echo)
	switch os.Args[1] {
	case "stdio":
		log.Fatal(server.ServeStdio(s))
	case "sse":
		log.Fatal(overSSE(s, os.Args[4], "127.0.0.1:"+os.Args[3]))
	default:
		log.Fatal(overHTTP(s, os.Args[2], "127.0.0.1:"+os.Args[3]))
	}
}
