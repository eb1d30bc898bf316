package io.github.mcpstartup

import io.github.mcpstartup.examples.MemoryStore
import io.github.mcpstartup.examples.check
import io.github.mcpstartup.examples.showStates
import io.github.mcpstartup.examples.signIn
import io.github.mcpstartup.examples.track
import io.github.mcpstartup.examples.verdict
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import java.io.File

/** The README contains the files of `examples` unchanged, and they run. */
class ReadmeTest {
    @Test
    fun `the README contains the examples`() {
        val text = File(ROOT, "bindings/kotlin/README.md").readText()
        val blocks = Regex("""<!-- (\S+) -->\n```kotlin\n(.*?)```""", RegexOption.DOT_MATCHES_ALL).findAll(text)
            .associate { it.groupValues[1] to it.groupValues[2] }
        val examples = File(ROOT, "bindings/kotlin/src/test/kotlin/io/github/mcpstartup/examples").listFiles()!!
        // The README omits the package and the imports.
        val expected = examples.associate { file ->
            val lines = file.readLines().dropWhile { it.isBlank() || it.startsWith("package ") || it.startsWith("import ") }
            file.name to lines.joinToString("\n", postfix = "\n")
        }
        assertEquals(expected, blocks)
    }

    @Test
    fun `the examples run`(): Unit = runBlocking {
        Lab().use { lab ->
            val row = "first-sign-in"
            val store = MemoryStore()
            val shown = mutableListOf<Recovery?>()
            check(lab.url(row), store) { _, recovery -> shown += recovery }
            signIn("linear", Options(servers = listOf(McpServer.Http("linear", lab.url(row))), store = store), ::comeBack)
            check(lab.url(row), store) { _, recovery -> shown += recovery }
            assertEquals(listOf<Recovery?>(Recovery.SIGN_IN), shown)
            val watch = McpStartup.watch(Options(servers = listOf(lab.server("hangs")), store = store))
            val states = mutableListOf<McpServerStartupState>()
            showStates(watch) { _, state, _ ->
                states += state
                watch.cancel()
            }
            assertEquals(listOf(McpServerStartupState.Starting, McpServerStartupState.Cancelled), states)
        }
        assertEquals(Recovery.REAUTHENTICATE, verdict().recovery)
        val failed = """{"method":"mcpServer/startupStatus/updated","params":{"threadId":"t","name":"linear",""" +
            """"status":"failed","error":"401","failureReason":"reauthenticationRequired"}}"""
        val asked = mutableListOf<String>()
        val servers = track(sequenceOf("$failed\n$failed\n".encodeToByteArray(), "$failed\n".encodeToByteArray())) { asked += it }
        assertEquals(listOf("linear needs you to sign in again. Reconnect?"), asked)
        assertEquals(listOf("linear"), servers.map { it.name })
    }
}
