package io.github.mcpstartup.examples

import io.github.mcpstartup.AuthorizationInterceptor
import io.github.mcpstartup.Options
import okhttp3.OkHttpClient

/** A client for the requests to one server, for example for the transport of another SDK. */
fun authorizedClient(server: String, options: Options): OkHttpClient =
    OkHttpClient.Builder().addInterceptor(AuthorizationInterceptor(server, options)).build()
