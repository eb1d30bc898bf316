package io.github.mcpstartup

import com.sun.jna.Library
import com.sun.jna.Native
import java.io.File
import java.nio.file.Files

private interface C : Library {
    fun setenv(name: String, value: String, overwrite: Int): Int

    fun unsetenv(name: String): Int
}

/** A home folder of its own for the native library, which reads the environment of the process. [close] restores the environment. */
class TestHome : AutoCloseable {
    private val root: File = Files.createTempDirectory("mcp-startup").toFile()
    private val before = VARIABLES.associateWith(System::getenv)
    val home = root.resolve("home")
    val folder = root.resolve("project").also { it.mkdirs() }

    init {
        VARIABLES.forEach(C_LIBRARY::unsetenv)
        C_LIBRARY.setenv("HOME", home.path, 1)
    }

    fun write(file: File, text: String) {
        file.parentFile.mkdirs()
        file.writeText(text)
    }

    override fun close() {
        before.forEach { (name, value) -> if (value == null) C_LIBRARY.unsetenv(name) else C_LIBRARY.setenv(name, value, 1) }
        root.deleteRecursively()
    }

    private companion object {
        val C_LIBRARY: C = Native.load("c", C::class.java)
        val VARIABLES = listOf("HOME", "CODEX_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    }
}
