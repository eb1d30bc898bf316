package io.github.mcpstartup

import java.io.IOException
import java.io.InterruptedIOException
import kotlinx.coroutines.runBlocking
import okhttp3.Interceptor
import okhttp3.Request
import okhttp3.Response

/**
 * Authorizes the requests of an OkHttp client to one server with its configured or stored credentials. Your app needs OkHttp 4 or later.
 *
 * ```
 * val client = OkHttpClient.Builder().addInterceptor(AuthorizationInterceptor("linear")).build()
 * ```
 *
 * It refreshes an expired token before the request. If the server answers 401, it refreshes the token, and sends the request again, unless
 * its body can be sent only once. It uses the same store, lock and refresh as a start. Only requests to the origin of the server get the
 * header. OkHttp removes it if a redirect leads to another host.
 *
 * A call fails with [NotAuthorizedException] if no credential is left to try, or if the server requires more scopes.
 *
 * @param server The name of the server.
 * @param options The options that define the server and the store.
 */
public class AuthorizationInterceptor @JvmOverloads constructor(
    private val server: String,
    private val options: Options = Options(),
) : Interceptor {
    @Throws(IOException::class)
    override fun intercept(chain: Interceptor.Chain): Response {
        val original = chain.request()
        var authorized = authorization(original.url.toString(), null) ?: return chain.proceed(original)
        repeat(MAX_REQUESTS - 1) {
            val request = original.with(authorized)
            val response = chain.proceed(request)
            val rejected = rejected(request, response)
            if (rejected == null || original.body?.run { isOneShot() || isDuplex() } == true) return response
            authorized = try {
                // After a redirect, the response may be from another origin.
                authorization(response.request.url.toString(), rejected) ?: return response
            } catch (failed: NotAuthorizedException) {
                if (response.code == FORBIDDEN && failed.failure.kind != StartupFailureKind.INSUFFICIENT_SCOPE) return response
                response.close()
                throw failed
            }
            response.close()
            if (chain.call().isCanceled()) throw IOException("Canceled")
        }
        return chain.proceed(original.with(authorized))
    }

    /** Returns the header for a request to this URL, or null for another origin. */
    private fun authorization(url: String, rejected: Rejected?): RequestAuthorization? = try {
        runBlocking { McpStartup.requestAuthorization(server, url, rejected, options) }
    } catch (failed: StartupFailedException) {
        throw NotAuthorizedException(failed)
    } catch (failed: McpStartupException) {
        // OkHttp reports only an `IOException` to the caller.
        throw IOException(failed.message, failed)
    } catch (interrupted: InterruptedException) {
        Thread.currentThread().interrupt()
        throw InterruptedIOException("interrupted").initCause(interrupted)
    }
}

/**
 * A request was not authorized: no credential is left to try, or the server requires more scopes.
 *
 * @property failure The verdict: the kind of the failure, the recovery, and the evidence.
 */
public class NotAuthorizedException internal constructor(cause: StartupFailedException) : IOException(cause.message, cause) {
    public val failure: StartupFailure = cause.failure
}

// A start tries at most three credentials: none, the refreshed and the stored one. Another process can store one more.
private const val MAX_REQUESTS = 4
private const val UNAUTHORIZED = 401
private const val FORBIDDEN = 403

private fun Request.with(authorized: RequestAuthorization): Request =
    if (authorized.header == null) this else newBuilder().header("Authorization", authorized.header).build()

/** Returns the refusal that another credential, or more scopes, may change. */
private fun rejected(request: Request, response: Response): Rejected? {
    val challenge = response.header("WWW-Authenticate")
    val wantsMore = response.code == FORBIDDEN && challenge?.contains("insufficient_scope") == true
    if (response.code != UNAUTHORIZED && !wantsMore) return null
    return Rejected(request.header("Authorization"), challenge, response.code)
}
