package main

import (
	"context"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func echo(_ context.Context, _ *mcp.ServerSession, call *mcp.CallToolParamsFor[input]) (*mcp.CallToolResultFor[any], error) {
	return &mcp.CallToolResultFor[any]{Content: []mcp.Content{&mcp.TextContent{Text: call.Arguments.Text}}}, nil
}

func overStdio(server *mcp.Server) error {
	return server.Run(context.Background(), mcp.NewStdioTransport())
}

func sseHandler(server func(*http.Request) *mcp.Server) http.Handler {
	return mcp.NewSSEHandler(server)
}

func httpOptions(func(string) bool) *mcp.StreamableHTTPOptions {
	return nil
}
