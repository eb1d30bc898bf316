package io.github.mcpstartup

import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.decodeFromJsonElement
import kotlinx.serialization.json.jsonObject
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestInstance
import org.junit.jupiter.api.assertThrows
import java.io.File

/** The files of the MCP clients on a machine: `discover` reports them, and `check` starts their servers. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ClientsTest {
    private lateinit var lab: Lab
    private lateinit var user: TestHome
    private val folder get() = user.folder.path

    @BeforeAll
    fun start() {
        lab = Lab()
        user = TestHome()
        user.write(user.home.resolve(".codex/config.toml"), "[mcp_servers.docs]\nurl = \"${lab.url("first-sign-in")}\"\n")
        val servers = """{"docs": {"url": "${lab.url("ready")}"}, "bad": {"url": "not a URL"}}"""
        user.write(user.home.resolve(".cursor/mcp.json"), """{"mcpServers": $servers}""")
        user.write(user.home.resolve(".codeium/windsurf/mcp_config.json"), "{\"mcpServers\": {\n")
        val shared = """{"mcpServers": {"shared": {"url": "${lab.url("server-500")}"}}}"""
        user.write(user.folder.resolve(".cursor/mcp.json"), shared)
    }

    @AfterAll
    fun stop() {
        user.close()
        lab.close()
    }

    private fun program(vararg arguments: String): String {
        val command = listOf(System.getenv("MCP_STARTUP_PROGRAM")) + arguments
        val process = ProcessBuilder(command).directory(user.folder).redirectError(ProcessBuilder.Redirect.DISCARD).apply {
            environment()["HOME"] = user.home.path
            listOf("CODEX_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME").forEach(environment()::remove)
        }.start()
        val output = process.inputStream.bufferedReader().readText()
        process.waitFor()
        return output
    }

    private fun outcomes(options: Options): Map<String, String> = runBlocking {
        val events = McpStartup.check(options).toList().map { it.notification }
        events.filter { it.status != McpServerStartupState.Starting }.associate { it.name to it.status.wire }
    }

    @Test
    fun `discover returns what the program prints`(): Unit = runBlocking {
        val files = McpStartup.discover(folder = folder)
        assertEquals(Json.decodeFromString<List<ClientFile>>(program("clients", "--format", "json")), files)
        val found = files.map { Triple(it.client, it.scope, it.approved) }
        val expected = listOf("codex" to ClientScope.USER, "cursor" to ClientScope.USER, "cursor" to ClientScope.PROJECT)
        assertEquals((expected + ("windsurf" to ClientScope.USER)).map { Triple(it.first, it.second, null) }, found)
        assertEquals(listOf(ClientTransport.HTTP to true, ClientTransport.HTTP to false), files[1].servers.map { it.transport to it.checkable })
        assertEquals(1, files.last().error?.line)
        assertEquals(listOf("windsurf"), McpStartup.discover(Clients.of("windsurf")).map { it.client })
    }

    @Test
    fun `check starts the servers of every client once`() {
        val options = Options(clients = Clients.ALL, folder = folder)
        assertEquals(mapOf("bad" to "failed", "codex:docs" to "failed", "cursor:docs" to "ready"), outcomes(options))
        val cursor = Options(clients = Clients.of("cursor"), folder = folder, trustProject = true)
        assertEquals(mapOf("bad" to "failed", "docs" to "ready", "shared" to "failed"), outcomes(cursor))
        val named = Options(clients = Clients.ALL, folder = folder, names = listOf("cursor:docs"))
        assertEquals(mapOf("docs" to "ready"), outcomes(named))
    }

    @Test
    fun `notChecked returns what the program reports`(): Unit = runBlocking {
        val options = Options(clients = Clients.ALL, folder = folder)
        val path = user.folder.resolve(".cursor/mcp.json").path
        val expected = NotChecked("cursor", ClientScope.PROJECT, path, "shared", "not approved in Cursor", needsApproval = true)
        assertEquals(listOf(expected), McpStartup.notChecked(options))
        val report = Json.parseToJsonElement(program("check", "--dry-run", "--format", "json")).jsonObject
        val reported = Json.decodeFromJsonElement<List<NotChecked>>(report.getValue("notChecked"))
        // The program adds what to do there.
        assertEquals(listOf(expected.copy(why = "${expected.why}; if you trust the project, pass `--trust-project`")), reported)
        assertEquals(emptyList<NotChecked>(), McpStartup.notChecked(Options(servers = emptyList())))
        assertEquals(emptyList<NotChecked>(), McpStartup.notChecked(Options(clients = Clients.ALL, folder = folder, trustProject = true)))
    }

    @Test
    fun `an unknown client or server is an error that names it`(): Unit = runBlocking {
        val client = assertThrows<InvalidArgumentException> { McpStartup.discover(Clients.of("none")) }
        val expected = "the options: `clients[0]` must be the ID of a client, such as `claude-code`, not \"none\""
        assertEquals(expected, client.message)
        val options = Options(clients = Clients.ALL, folder = folder, names = listOf("dosc"))
        val server = assertThrows<ConfigurationException> { McpStartup.notChecked(options) }
        assertEquals("no client has a server `dosc`; did you mean `docs`? 2 other servers are configured.", server.message)
    }

    @Test
    fun `the example in the README runs`(): Unit = runBlocking {
        val shown = mutableListOf<String>()
        io.github.mcpstartup.examples.discover(folder) { shown += it }
        val file = File(user.home, ".codex/config.toml").path
        assertEquals(listOf("codex: $file ", "  docs "), shown.take(2))
        assertEquals("shared (cursor): not approved in Cursor", shown.last())
        assertEquals(1, shown.count { it == "cursor:docs ready" })
    }
}
