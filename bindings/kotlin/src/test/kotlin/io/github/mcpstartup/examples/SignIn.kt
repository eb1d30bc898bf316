package io.github.mcpstartup.examples

import io.github.mcpstartup.McpStartup
import io.github.mcpstartup.Options

/** [browse] opens a URL in the user's browser, and gives the one that they come back with. */
suspend fun signIn(server: String, options: Options, browse: suspend (String) -> String) {
    val begun = McpStartup.beginSignIn(server, redirectUri = "com.example.app:/callback", options)
    // What was stored before stays until this is done.
    McpStartup.finishSignIn(begun.pending, browse(begun.authorizationUrl), options)
}
