package io.github.mcpstartup.examples

import io.github.mcpstartup.McpStartup
import io.github.mcpstartup.Options

/** [browse] opens a URL in the user's browser, and returns the complete URL that the browser is redirected to. */
suspend fun signIn(server: String, options: Options, browse: suspend (String) -> String) {
    val begun = McpStartup.beginSignIn(server, redirectUri = "com.example.app:/callback", options)
    // The stored credential does not change before this call.
    McpStartup.finishSignIn(begun.pending, browse(begun.authorizationUrl), options)
}
