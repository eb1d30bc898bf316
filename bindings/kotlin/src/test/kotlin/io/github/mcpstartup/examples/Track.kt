package io.github.mcpstartup.examples

import io.github.mcpstartup.StartupTracker
import io.github.mcpstartup.TrackedServer

/** Reads the output of an app-server. Each chunk has complete lines; those of other messages are ignored. */
fun track(chunks: Sequence<ByteArray>, ask: (String) -> Unit): List<TrackedServer> = StartupTracker().use { tracker ->
    for (chunk in chunks) {
        for (server in tracker.apply(chunk).prompts) {
            // One prompt for each server until it is ready, even if threads and restarts repeat the failure.
            ask("${server.name} needs you to sign in again. Reconnect?")
        }
    }
    tracker.servers()
}
