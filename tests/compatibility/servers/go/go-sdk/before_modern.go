package main

import "github.com/modelcontextprotocol/go-sdk/mcp"

func serverOptions(func(string) bool) *mcp.ServerOptions {
	return nil
}
