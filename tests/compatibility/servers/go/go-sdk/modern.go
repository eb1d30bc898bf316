package main

import "github.com/modelcontextprotocol/go-sdk/mcp"

func serverOptions(has func(string) bool) *mcp.ServerOptions {
	if has("modern") {
		return &mcp.ServerOptions{SupportedProtocolVersions: []string{"2026-07-28"}}
	}
	return nil
}
