import io.github.mcpstartup.Evidence
import io.github.mcpstartup.McpServer
import io.github.mcpstartup.McpStartup
import io.github.mcpstartup.judge
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking

/** Checks one server at the URL in the first argument, which must be unreachable. */
fun main(arguments: Array<String>): Unit = runBlocking {
    println(judge(Evidence()).kind)
    val events = McpStartup.check(servers = listOf(McpServer.Http("nobody", arguments.single()))).toList()
    println("${events.size} ${events.last().failure?.kind}")
}
