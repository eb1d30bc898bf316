package main

import (
	"context"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func echo(_ context.Context, _ *mcp.CallToolRequest, in input) (*mcp.CallToolResult, any, error) {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Text}}}, nil, nil
}

func overStdio(server *mcp.Server) error {
	return server.Run(context.Background(), &mcp.StdioTransport{})
}

func sseHandler(server func(*http.Request) *mcp.Server) http.Handler {
	return mcp.NewSSEHandler(server, nil)
}

func httpOptions(has func(string) bool) *mcp.StreamableHTTPOptions {
	return &mcp.StreamableHTTPOptions{Stateless: has("stateless"), JSONResponse: has("json")}
}
