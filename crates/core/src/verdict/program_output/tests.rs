use super::*;

#[test]
fn the_reason_is_found_in_the_output_of_a_program() {
    let rows = [
        (
            "Traceback (most recent call last):\n  File \"/x/server.py\", line 9, in <module>\nValidationError: 1 validation error for Settings\napi_key\n  Field required [type=missing]\n    For further information visit https://errors.example\n",
            "ValidationError: 1 validation error for Settings api_key Field required [type=missing]",
        ),
        (
            "Traceback (most recent call last):\n  File \"/x/server.py\", line 4, in <module>\n    from fastm\n…\nages/pydantic/fields.py\", line 293, in __init__\n    raise TypeError('both')\nTypeError: both\n",
            "TypeError: both",
        ),
        (
            "Unhandled exception. SqlException: Login failed for user 'mcp'.\n   at Sql.Open()\nError Number:18456,State:1\n",
            "Unhandled exception. SqlException: Login failed for user 'mcp'.",
        ),
        (
            "  + Exception Group Traceback (most recent call last):\n  |   File \"/x.py\", line 9, in <module>\n  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\n  +-+---- 1 ----\n    | Traceback (most recent call last):\n    |   File \"/x.py\", line 5, in main\n    | ConnectionError: no route\n    +----\n",
            "ConnectionError: no route",
        ),
        (
            "Error: listen EADDRINUSE\n    at f (node:net:1)\nEmitted 'error' event on Server instance at:\n    at g (node:net:2) {\n  errno: -98,\n  syscall: 'listen'\n}\n",
            "Error: listen EADDRINUSE",
        ),
        (
            "panic: no such file\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:14 +0x1d8\nexit status 2\n",
            "panic: no such file",
        ),
        (
            "  × No solution found:\n  ╰─▶ Because acme was not found and you require\n      acme, we can conclude nothing.\n",
            "Because acme was not found and you require acme, we can conclude nothing.",
        ),
        (
            "error: the following arguments were not provided:\n  --root <ROOT>\n\nUsage: acme --root <ROOT>\n",
            "error: the following arguments were not provided: --root <ROOT>",
        ),
        (
            "Failed to start server: no credentials. Use one of these methods:\n\n1. Environment variable:\n   export ACME_KEYS=/path/keys.json\n\n2. A file:\n   ./keys.json\n",
            "Failed to start server: no credentials. Use one of these methods: 1. Environment variable: export ACME_KEYS=/path/keys.json",
        ),
        // An error is labeled at its beginning, and its summary is not.
        (
            "Error: an Acme key is required via --key or ACME_KEY.\nInvalid configuration\n",
            "Error: an Acme key is required via --key or ACME_KEY.",
        ),
        (
            "Failed to start: key file not found. Use one of these:\n1. A variable:\n\nOriginal error: ENOENT: no such file\n",
            "Failed to start: key file not found. Use one of these: 1. A variable:",
        ),
        // An instruction follows the error.
        (
            "Error: No access token.\nRun `acme login` first.\nUsage: acme\n",
            "Error: No access token. Run `acme login` first.",
        ),
        (
            "An executable named `acme-mcp` is not provided by package `acme-mcp`.\nThe following executables are available:\n- acme_mcp\n\nUse `uvx --from acme-mcp acme_mcp` instead.\n",
            "An executable named `acme-mcp` is not provided by package `acme-mcp`. Use `uvx --from acme-mcp acme_mcp` instead.",
        ),
        // The innermost exception of Elixir, the missing library of macOS, and the crash of Erlang.
        (
            "** (Mix) Could not start application acme: failed to start child: Acme.Repo\n    ** (EXIT) an exception was raised:\n        ** (RuntimeError) environment variable ACME_URL is missing.\nFor example: acme://host\n\n            config/runtime.exs:29: (file)\n",
            "** (RuntimeError) environment variable ACME_URL is missing.",
        ),
        (
            "error: undefined function foo/0\n  lib/acme.ex:3: Acme.bar/0\n\n== Compilation error in file lib/acme.ex ==\n** (CompileError) lib/acme.ex: cannot compile module Acme (errors have been logged)\n",
            "error: undefined function foo/0",
        ),
        (
            "dyld[4312]: Library not loaded: @rpath/libacme.dylib\n  Referenced from: <5F1E> /opt/acme\n  Reason: tried: '/usr/lib/libacme.dylib' (no such file)\n",
            "dyld[4312]: Library not loaded: @rpath/libacme.dylib",
        ),
        (
            "init terminating in do_boot ({undef,[{acme,start,[],[]}]})\n\nCrash dump is being written to: erl_crash.dump...done\n",
            "init terminating in do_boot ({undef,[{acme,start,[],[]}]})",
        ),
        // The report of Swift about its compiler, and the error of asdf before a list.
        (
            "/srv/acme/main.swift:3:8: error: no such module 'MCP'\nerror: emit-module command failed with exit code 1 (use -v to see invocation)\n",
            "/srv/acme/main.swift:3:8: error: no such module 'MCP'",
        ),
        (
            "No version is set for command npx\nConsider adding one of the following versions in your config file at /.tool-versions\nnodejs 22.11.0\n",
            "No version is set for command npx",
        ),
        // The program reports its end after the error.
        (
            "ERROR: no database at /var/lib/acme\nERROR: Shutting down\n",
            "ERROR: no database at /var/lib/acme",
        ),
        (
            "[1:ERROR:x11.cc(245)] Missing X server or $DISPLAY\n[1:ERROR:env.cc(257)] The platform failed to initialize.  Exiting.\n",
            "[1:ERROR:x11.cc(245)] Missing X server or $DISPLAY",
        ),
        ("ERROR: Exiting\n", "ERROR: Exiting"),
        // The option is in the line before the report of the launcher of Java.
        (
            "Unrecognized option: --acme\nError: Could not create the Java Virtual Machine.\nError: A fatal exception has occurred. Program will exit.\n",
            "Unrecognized option: --acme",
        ),
        // The notices of a shell without a terminal, about a locale and of dotenv are no reason.
        (
            "bash: cannot set terminal process group (42): Inappropriate ioctl for device\nbash: no job control in this shell\nbash: npx: command not found\n",
            "bash: npx: command not found",
        ),
        (
            "bash: warning: setlocale: LC_ALL: cannot change locale (en_US.UTF-8)\nperl: warning: Setting locale failed.\nacme: no such profile\nperl: warning: Falling back to the standard locale (\"C\").\n",
            "acme: no such profile",
        ),
        (
            "Error: ACME_URL is not set\n[dotenv@17.2.3] injecting env (0) from .env -- tip: audit secrets\n",
            "Error: ACME_URL is not set",
        ),
        // The usage below the name of the program.
        (
            "Acme CLI v1.2\n\nUsage: acme <command>\n\nCommands:\n  mcp   start the MCP server\n",
            "Usage: acme <command>",
        ),
        (
            "Acme needs a folder\nUsage: acme <folder>\n",
            "Acme needs a folder",
        ),
        // The reason of the system is in another line.
        (
            "[Acme] Error: connect ECONNREFUSED 127.0.0.1:6379\n    at f (node:net:1)\n[Acme] Retry\n[Acme Fatal] Error: Max retries reached\n[Acme Fatal] Stack: Error: Max retries reached\n",
            "[Acme Fatal] Error: Max retries reached (connect ECONNREFUSED 127.0.0.1:6379)",
        ),
        (
            "[7] Connection error: TypeError: fetch failed\n    at f (node:net:1) {\n  [cause]: Error: getaddrinfo ENOTFOUND mcp.example\n      at g (node:dns:1) {\n    code: 'ENOTFOUND',\n",
            "[7] Connection error: TypeError: fetch failed (getaddrinfo ENOTFOUND mcp.example)",
        ),
        (
            "12:00 | ERROR | Could not download it: [Errno -2] Name or service not known Retrying\nTraceback (most recent call last):\n  File \"/x.py\", line 1\nValueError: Could not load model acme\n",
            "ValueError: Could not load model acme (Name or service not known)",
        ),
        // The output of a child program, and the report of its parent.
        (
            "{\"level\":\"fatal\",\"message\":\"ACME_TOKEN must be provided\",\"stacktrace\":\"main\"}\nnode:child_process:930\n    throw err;\n    ^\nError: Command failed: /opt/acme --stdio\n    at f (node:net:1)\n\nNode.js v20.20.2\n",
            "error: ACME_TOKEN must be provided",
        ),
        // The issues of a validation, and the list of causes of uv.
        (
            "Server error: [\n  {\n    \"code\": \"too_small\",\n    \"message\": \"the URL cannot be empty\",\n    \"path\": [\n      \"url\"\n    ]\n  }\n]\n",
            "Server error: url: the URL cannot be empty",
        ),
        (
            "ZodError: [\n  {\n    \"code\": \"invalid_type\",\n    \"path\": [\n      \"NOTION_TOKEN\",\n      0\n    ],\n    \"message\": \"Required\"\n  }\n]\n    at get error (file:///x/index.mjs:587:31)\n",
            "ZodError: NOTION_TOKEN.0: Required",
        ),
        (
            "ZodError: [\n  {\n    \"message\": \"Required\",\n    \"pat\n…\n",
            "ZodError: Required",
        ),
        (
            "The index is locked\nhttps://acme.example/locked\n",
            "The index is locked",
        ),
        // The lines after these are notices, or the cause.
        (
            "You must install or update .NET to run this application.\n\nApp: /x/acme\n.NET location: /usr/share/dotnet\n\nThe following frameworks were found:\n  8.0.1 at [/usr/share/dotnet/shared]\n\nTo install missing framework, download:\nhttps://aka.ms/dotnet\n\nLearn more:\nhttps://aka.ms/dotnet/app-launch-failed\n",
            "You must install or update .NET to run this application.",
        ),
        (
            "/usr/bin/env: ‘python3\\r’: No such file or directory\n/usr/bin/env: use -[v]S to pass options in shebang lines\n",
            "/usr/bin/env: ‘python3\\r’: No such file or directory",
        ),
        (
            "Debugger listening on ws://127.0.0.1:1/a\nFor help, see: https://nodejs.org/en/docs/inspector\n",
            "Debugger listening on ws://127.0.0.1:1/a",
        ),
        (
            "Error: LinkageError occurred while loading main class acme.Main\n    java.lang.UnsupportedClassVersionError: acme/Main has been compiled by a more recent version\n",
            "java.lang.UnsupportedClassVersionError: acme/Main has been compiled by a more recent version",
        ),
        (
            "error: No solution found\n  cause: Because the current Python version (3.11.7) does not satisfy Python>=3.12, acme cannot be used.\n",
            "Because the current Python version (3.11.7) does not satisfy Python>=3.12, acme cannot be used.",
        ),
        // A line that only points to the usage or the help is not the reason, unless the usage is all there is.
        (
            "unknown option --stdio\nusage: python3 [option] ... [arg] ...\nTry `python -h' for more information.\n",
            "unknown option --stdio",
        ),
        (
            "docker: open .env: no such file or directory\n\nRun 'docker run --help' for more information\n",
            "docker: open .env: no such file or directory",
        ),
        (
            "Error: unknown command \"studio\" for \"acme\"\nRun 'acme --help' for usage.\n",
            "Error: unknown command \"studio\" for \"acme\"",
        ),
        (
            "flag provided but not defined: -stdio\nUsage of acme:\n  -addr string\n    \taddress (default \":8080\")\n",
            "flag provided but not defined: -stdio",
        ),
        (
            "Options:\n  --key  the key  [required]\n\nMissing argument: key\n",
            "Missing argument: key",
        ),
        (
            "Usage: acme [options] <folder>\n\nOptions:\n  -h, --help  show help\n",
            "Usage: acme [options] <folder>",
        ),
        (
            "Usage:\n  acme stdio [flags]\n\nFlags:\n  -h, --help  help\n",
            "Usage: acme stdio [flags]",
        ),
        (
            "Usage of the index failed\n  last\n",
            "Usage of the index failed",
        ),
        (
            "Usage: acme [options]\n\n  Error: no token\n",
            "Error: no token",
        ),
        // The text in a frame.
        (
            "Usage: acme COMMAND\nTry 'acme --help' for help.\n╭─ Error ──────╮\n│ No such      │\n│ command 'x'. │\n╰──────────────╯\n",
            "Error: No such command 'x'.",
        ),
        (
            "╭─── Traceback (most recent call last) ───╮\n│ /x/acme.py:7 in main                    │\n│ Error: a = 1                            │\n╰─────────────────────────────────────────╯\nValueError: no index\n",
            "ValueError: no index",
        ),
        // A summary follows the cause.
        (
            " WARN  x\n ERR_PNPM_FETCH_404  GET https://npm.example/x: Not Found - 404\n\nThis error happened while installing a direct dependency of /x\n\nNo authorization header was set for the request.\n",
            "ERR_PNPM_FETCH_404  GET https://npm.example/x: Not Found - 404",
        ),
        (
            " ERR_PNPM_UNSUPPORTED_ENGINE  Unsupported environment\n\nYour Node version is incompatible with \"x@1.0.0\".\n\nExpected version: >=22\nGot: v18.0.0\n",
            "ERR_PNPM_UNSUPPORTED_ENGINE  Unsupported environment Your Node version is incompatible with \"x@1.0.0\". Expected version: >=22 Got: v18.0.0",
        ),
        (
            "Error: ACME_KEY is not set\n ERR_PNPM_RECURSIVE_RUN_FIRST_FAIL  acme@1.0.0 start: `node .`\n",
            "Error: ACME_KEY is not set",
        ),
        (
            "Fatal error from pip prevented installation.\n\nSome errors from pip install:\n    ERROR: No matching distribution found for x\n\nError installing x.\n",
            "ERROR: No matching distribution found for x",
        ),
        (
            "/x/P.cs(3,7): error CS0246: The type 'Acme' could not be found\n\nThe build failed. Fix the build errors and run again.\n",
            "/x/P.cs(3,7): error CS0246: The type 'Acme' could not be found",
        ),
        // The rest of the sentence is on the next lines.
        (
            "Error: The module '/x/node_modules/acme/build/Release/acme.node'\nwas compiled against a different Node.js version using\nNODE_MODULE_VERSION 115. This version of Node.js requires\nNODE_MODULE_VERSION 127.\n    at f (node:net:1)\n",
            "Error: The module '/x/node_modules/acme/build/Release/acme.node' was compiled against a different Node.js version using NODE_MODULE_VERSION 115.",
        ),
        (
            "Error: no database\nexit status 2 of acme\n",
            "Error: no database",
        ),
        (
            "Error: it can't connect to the database at localhost, port 5432\nthe server is shut down\n",
            "Error: it can't connect to the database at localhost, port 5432",
        ),
        (
            "npm error code EACCES\nnpm error Your cache folder contains root-owned files, due to a bug in\nnpm error previous versions of npm which has since been addressed.\nnpm error\nnpm error To fix this, please run:\n",
            "Your cache folder contains root-owned files, due to a bug in previous versions of npm which has since been addressed.",
        ),
        (
            "npm error network request to https://npm.example/@acme%2fx failed, reason: x\nnpm error network This is a problem related to network connectivity.\n",
            "request to https://npm.example/@acme%2fx failed, reason: x",
        ),
        (
            "npm error code EBADENGINE\nnpm error engine Unsupported engine\nnpm error engine Not compatible with your version of node/npm: x@2.0.0\nnpm error notsup Required: {\"node\":\">=22\"}\nnpm error notsup Actual:   {\"node\":\"v18.1.0\"}\n",
            "engine Not compatible with your version of node/npm: x@2.0.0 Required: {\"node\":\">=22\"} Actual:   {\"node\":\"v18.1.0\"}",
        ),
        (
            "npm error code 1\nnpm error command sh -c node-gyp rebuild\nnpm error gyp info ok\nnpm error gyp ERR! find Python\nnpm error gyp ERR! stack Error: Could not find any Python installation to use\nnpm error gyp ERR! not ok\n",
            "Error: Could not find any Python installation to use",
        ),
        // The output of a build has the reason, and so does the innermost cause.
        (
            "  × Failed to build `x==1`\n  ├─▶ The build backend returned an error\n  ╰─▶ Call to `build_wheel` failed (exit status: 1)\n\n      [stdout]\n      Building x.\n\n      [stderr]\n      Error: the libxml2 packages are not installed.\n\n      hint: This usually indicates a problem with the package.\n",
            "Failed to build `x==1`: Error: the libxml2 packages are not installed.",
        ),
        (
            "error: Failed to spawn: `acme`\n  Caused by: the first\n  Caused by: TOML parse error at line 3\n  |\n3 | foo\n",
            "error: Failed to spawn: `acme`: TOML parse error at line 3",
        ),
        (
            "Error: no index\n\nCaused by:\n    0: it can't be read\n    1: Permission denied (os error 13)\n\nStack backtrace:\n   0: main\n",
            "Error: no index: Permission denied (os error 13)",
        ),
        // The possible values.
        (
            "An executable named `x` is not provided by package `x`.\nThe following executables are available:\n- x-mcp\n- x-server\n",
            "An executable named `x` is not provided by package `x`. The following executables are available: x-mcp, x-server",
        ),
        // The program has written the line breaks of its record.
        (
            "t=2026-01-02 lvl=eror msg=\"failed to start\" err=\"authentication failed: The token is invalid.\\nYour token: x\\r\\n\\r\\nERR_ACME_107\\r\\n\"\n",
            "error: failed to start: authentication failed: The token is invalid.",
        ),
        (
            "ERROR:\\n  no key in C:\\new\\keys\\n\n",
            "ERROR: no key in C:\\new\\keys",
        ),
        (
            "log: Traceback (most recent call last):\\n  File \"x.py\", line 1, in <module>\\nValueError: no index\\n\n",
            "ValueError: no index",
        ),
        // The invalid field of a validation is on the next lines.
        (
            "Traceback (most recent call last):\n  File \"x.py\", line 1\npydantic_core._pydantic_core.ValidationError: 1 validation error for Settings\napi_key\n  Field required [type=missing]\n    For further information visit https://errors.pydantic.dev\n",
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings api_key Field required [type=missing]",
        ),
        (
            "Error: 2 validation errors for Settings\napi_key\n  Field required [type=missing]\nbase_url\n  Field required [type=missing]\n",
            "Error: 2 validation errors for Settings api_key Field required [type=missing]",
        ),
        (
            "1 validation error for Settings\napi_key\n  field required (type=value_error.missing)\n",
            "1 validation error for Settings api_key field required (type=value_error.missing)",
        ),
        // The report of a parent follows the error of its child, and is the reason if there is no other.
        (
            "yarn run v1.22.22\n$ node .\nACME_KEY is not set\nerror Command failed with exit code 1.\ninfo Visit https://yarnpkg.com/en/docs/cli/run for documentation about this command.\n",
            "ACME_KEY is not set",
        ),
        (
            "$ node .\nerror Command failed with exit code 1.\n",
            "error Command failed with exit code 1.",
        ),
        (
            "node .\nboom\nerror: Recipe `mcp` failed on line 3 with exit code 1\n",
            "boom",
        ),
        (
            "node .\nerror: Recipe `mcp` failed on line 3 with exit code 1\n",
            "error: Recipe `mcp` failed on line 3 with exit code 1",
        ),
        (
            "boom\nmake[1]: *** [Makefile:3: mcp] Error 1\nmake: *** [all] Error 2 (ignored)\n",
            "boom",
        ),
        (
            "make: *** No rule to make target 'mcp'.  Stop.\n",
            "make: *** No rule to make target 'mcp'.  Stop.",
        ),
        (
            "> acme@1.0.0 start\n> node .\n\nboom\nnpm error code ELIFECYCLE\nnpm error acme@1.0.0 start: `node .`\nnpm error Exit status 1\n",
            "boom",
        ),
        (
            "npm error Lifecycle script `start` failed with error:\nnpm error code 1\nnpm error command sh -c node .\n",
            "Lifecycle script `start` failed with error:",
        ),
        (
            "no index\nnpm error code 1\nnpm error path /x\nnpm error command failed\nnpm error command sh -c node .\n",
            "no index",
        ),
        (
            "no index\nTraceback (most recent call last):\n  File \"/x.py\", line 9, in main\n    check_call(args)\nsubprocess.CalledProcessError: Command '['node', 'x']' returned non-zero exit status 1.\n",
            "no index",
        ),
        (
            "Traceback (most recent call last):\n  File \"/x.py\", line 9, in main\n    check_call(args)\nsubprocess.CalledProcessError: Command '['node', 'x']' returned non-zero exit status 1.\n",
            "subprocess.CalledProcessError: Command '['node', 'x']' returned non-zero exit status 1.",
        ),
        (
            "Error: Command failed: /opt/acme\n    at f (node:net:1) {\n  status: 1,\n  stderr: null\n}\n",
            "Error: Command failed: /opt/acme",
        ),
        (
            "listen tcp :9000: in use\nexit status 1\n",
            "listen tcp :9000: in use",
        ),
        ("exit status 1\n", "exit status 1"),
        // Sentences on several lines, the code of an error, and the noise of PowerShell.
        (
            "'uvx' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n",
            "'uvx' is not recognized as an internal or external command, operable program or batch file.",
        ),
        (
            "\"npx\" non \u{fffd} riconosciuto come comando interno o esterno,\r\n un programma eseguibile o un file batch.\r\n",
            "\"npx\" non \u{fffd} riconosciuto come comando interno o esterno, un programma eseguibile o un file batch.",
        ),
        (
            "'npx' 不是内部或外部命令，也不是可运行的程序\n或批处理文件。\n",
            "'npx' 不是内部或外部命令，也不是可运行的程序 或批处理文件。",
        ),
        (
            "There is no distribution with the supplied name.\nError code: Wsl/Service/WSL_E_DISTRO_NOT_FOUND\n",
            "There is no distribution with the supplied name. Error code: Wsl/Service/WSL_E_DISTRO_NOT_FOUND",
        ),
        (
            "uvx : The term 'uvx' is not recognized as the name of a cmdlet. Check the \nspelling of the name.\nAt line:1 char:1\n+ uvx acme-mcp\n+ ~~~\n    + CategoryInfo          : ObjectNotFound: (uvx:String) [], CommandNotFoundException\n    + FullyQualifiedErrorId : CommandNotFoundException\n",
            "uvx : The term 'uvx' is not recognized as the name of a cmdlet. Check the spelling of the name.",
        ),
        // A line of a log continues no other.
        (
            "connecting to the database at db.example with the user acme\nboom\n",
            "boom",
        ),
        (
            "12:00 connecting to the database at db.example with the user acme\nlost it.\n",
            "lost it.",
        ),
        ("[acme] loading:\nPlease wait\n", "Please wait"),
        // An instruction is added to the error.
        (
            "No preset version installed for command npx\nPlease install a version by running one of the following:\n\nasdf install nodejs 22.14.0\n\nor add one of the following versions in your config file at /x/.tool-versions\nnodejs 20.11.0\n",
            "No preset version installed for command npx. Please install a version by running one of the following: asdf install nodejs 22.14.0",
        ),
        (
            "To get started with GitHub CLI, please run:  gh auth login\nAlternatively, populate the GH_TOKEN environment variable.\n",
            "To get started with GitHub CLI, please run:  gh auth login. Alternatively, populate the GH_TOKEN environment variable.",
        ),
        (
            "mise ERROR Config files in /x/mise.toml are not trusted.\nTrust them with `mise trust`.\nmise ERROR Run with --verbose or MISE_VERBOSE=1 for more information\n",
            "mise ERROR Config files in /x/mise.toml are not trusted. Trust them with `mise trust`.",
        ),
        (
            "Volta error: Node is not available.\n\nTo run any Node command, first set a default version using `volta install node`\n",
            "Volta error: Node is not available. To run any Node command, first set a default version using `volta install node`",
        ),
        (
            "the index is missing\nTo add the missing index, run `acme index`\n",
            "the index is missing. To add the missing index, run `acme index`",
        ),
        (
            "Error: no browser\n╔═══════════════════════╗\n║ Please run this:      ║\n║                       ║\n║     acme install      ║\n╚═══════════════════════╝\n    at f (/x/index.js:41:9)\n",
            "Error: no browser. Please run this: acme install",
        ),
        (
            "Error: no key\nPlease set one of these:\n- ACME_KEY\n",
            "Error: no key",
        ),
        (
            "acme.AuthError: no token.\nAttempted:\n\tCli: Please run 'acme login'\n\tShell: none\n",
            "acme.AuthError: no token. Cli: Please run 'acme login'",
        ),
        // Errors of Ruby, PHP and Maven.
        (
            "<internal:/x/kernel_require.rb>:136:in 'Kernel#require': cannot load such file -- acme (LoadError)\n\tfrom <internal:/x/kernel_require.rb>:136:in 'Kernel#require'\n\tfrom /x/exe/acme:3:in '<main>'\n",
            "cannot load such file -- acme (LoadError)",
        ),
        (
            "/usr/lib/ruby/vendor_ruby/rubygems.rb:281:in `find_spec_for_exe': Could not find 'bundler' (Gem::GemNotFoundException)\nTo update, run `bundle update --bundler`.\nTo install the missing version, run `gem install bundler`\n\tfrom /usr/lib/ruby/vendor_ruby/rubygems.rb:258:in `bin_path'\n",
            "Could not find 'bundler' (Gem::GemNotFoundException). To update, run `bundle update --bundler`.",
        ),
        (
            "/x/acme.rb:12:in `fetch': key not found: \"ACME_KEY\" (KeyError)\n\tfrom /x/acme.rb:3:in `<main>'\n",
            "/x/acme.rb:12:in `fetch': key not found: \"ACME_KEY\" (KeyError)",
        ),
        (
            "\nIn Connection.php line 82:\n           \n  SQLSTATE[HY000]  \n  No such file  \n           \n\nmcp:server [--transport TRANSPORT]\n\n",
            "SQLSTATE[HY000] No such file",
        ),
        (
            "In Connection.php line 82:\nlast\n",
            "In Connection.php line 82: last",
        ),
        (
            "\n   TypeError \n\n  Argument #1 must be of type A\n\n  at vendor/Tool.php:19\n     15▕ \n  ➜  16▕     return;\n\n      +21 vendor frames \n",
            "TypeError: Argument #1 must be of type A",
        ),
        (
            "TypeError \n\n  Argument #1\n  must be of type A\n\n  at vendor/Tool.php:19\n",
            "TypeError: Argument #1 must be of type A",
        ),
        ("start\n\n  TypeError\n\n  last\n\nend\n", "end"),
        (
            "\n   ERROR  Command \"mcp:x\" is not defined. Did you mean one of these?\n\n  ⇂ mcp:inspector\n",
            "ERROR  Command \"mcp:x\" is not defined. Did you mean one of these?",
        ),
        (
            "[INFO] BUILD FAILURE\n[ERROR] Failed to execute goal x: Compilation failure\n[ERROR] /x/A.java:[3,8] cannot find symbol\n[ERROR]   symbol: class X\n[ERROR] -> [Help 1]\n[ERROR] \n[ERROR] Re-run Maven using the -X switch to enable full debug logging.\n[ERROR] [Help 1] http://cwiki.apache.org/x\n",
            "[ERROR] /x/A.java:[3,8] cannot find symbol",
        ),
        ("[ERROR]    first\n[ERROR]    second\n", "[ERROR]    second"),
        // The registry of npm refuses a sign-in.
        (
            "npm error code E401\nnpm error Unable to authenticate, your authentication token seems to be invalid.\nnpm error To correct this please try logging in again with:\nnpm error   npm login\nnpm error A complete log of this run can be found in: /x.log\n",
            "Unable to authenticate, your authentication token seems to be invalid. To correct this please try logging in again with: npm login",
        ),
        (
            "npm ERR! code E401\nnpm ERR! Incorrect or missing password.\nnpm ERR! If you were trying to login, change your password, create an\n",
            "npm E401: Incorrect or missing password.",
        ),
        (
            "npm error code E403\nnpm error 403 403 Forbidden - GET https://npm.example/@acme%2fx\nnpm error 403 In most cases, you or one of your dependencies are requesting\n",
            "403 403 Forbidden - GET https://npm.example/@acme%2fx",
        ),
        // The columns of Rich.
        (
            "[12/09/25 21:42:37] INFO     Starting MCP server 'acme'    server.py:120\n[12/09/25 21:42:39] ERROR    Error establishing            server.py:344\n                             connection:                  \n                             Failed to connect            \n                    INFO     Shut down                     server.py:9\n",
            "ERROR Error establishing connection: Failed to connect",
        ),
        (
            "[01/16/26 18:15:22] ERROR    Server could not start   server.py:344\n                             ╭──── Traceback (most recent call last) ────╮   \n                             │ /x/server.py:33 in __init__               │   \n                             ╰───────────────────────────────────────────╯   \n                             OSError: [Errno 30] Read-only     \n                             file system: 'logs'               \n",
            "OSError: [Errno 30] Read-only file system: 'logs'",
        ),
        (
            "[01/16/26 18:15:22] CRITICAL can't start              server.py:344\n                             Traceback (most recent call last):\n                               File \"/x/server.py\", line 33\n                             ValueError: no index\n",
            "ValueError: no index",
        ),
        (
            "[12:00:00] ERROR    first\n                       \nERRORS: 1\nlast\n",
            "ERROR first",
        ),
        (
            "[12:00:00] ERRORS   first\nlast\n",
            "[12:00:00] ERRORS   first",
        ),
        (
            "start\nuvx : Die Benennung \"uvx\" wurde nicht als Name eines ausführbaren \nProgramms erkannt. Überprüfen Sie den Namen, und \nwiederholen Sie den Vorgang.\nIn Zeile:1 Zeichen:1\n+ uvx acme-mcp\n+ ~~~\n    + CategoryInfo          : ObjectNotFound: (uvx:String) [], CommandNotFoundException\n    + FullyQualifiedErrorId : CommandNotFoundException\n",
            "uvx : Die Benennung \"uvx\" wurde nicht als Name eines ausführbaren Programms erkannt. Überprüfen Sie den Namen, und wiederholen Sie den Vorgang.",
        ),
        ("no place\n+ CategoryInfo : x\n", "no place"),
        (
            "'npx' は、内部コマンドまたは外部コマンド、\n操作可能なプログラムとして認識されていません。\n",
            "'npx' は、内部コマンドまたは外部コマンド、 操作可能なプログラムとして認識されていません。",
        ),
        (
            "ERROR: (gcloud) You have no active account.\nPlease run:\n\n  $ gcloud auth login\n\nto obtain new credentials.\n",
            "ERROR: (gcloud) You have no active account. Please run: gcloud auth login",
        ),
        (
            "ERROR: The token has expired.\nA sign-in is needed. Please run:\naz login\n",
            "ERROR: The token has expired. A sign-in is needed. Please run: az login",
        ),
        (
            "›   Error: Not logged in\n ›   Run acme login to log in.\n",
            "Error: Not logged in. Run acme login to log in.",
        ),
        (
            "[RuntimeException]          \n  No index                          \n                                    \n\nmcp:server [--x]\n",
            "[RuntimeException] No index",
        ),
        (
            "Can't locate Acme.pm in @INC at /x/a.pl line 3.\nBEGIN failed--compilation aborted at /x/a.pl line 3.\n",
            "Can't locate Acme.pm in @INC at /x/a.pl line 3.",
        ),
        (
            "npm error code EACCES\nnpm error Your cache folder is not yours.\nnpm error\nnpm error To fix this, please run:\nnpm error   sudo chown -R 501 \"/x\"\n",
            "Your cache folder is not yours. To fix this, please run: sudo chown -R 501 \"/x\"",
        ),
        // A warning of Node is not the reason.
        (
            "    TypeError: x is undefined\n(node:7) [DEP0151] DeprecationWarning: a missing suffix\n(Use `node --trace-deprecation ...` to show where the warning was created)\n",
            "TypeError: x is undefined",
        ),
    ];
    for (output, expected) in rows {
        assert_eq!(reason(output, false).as_deref(), Some(expected), "{output}");
    }
}

#[test]
fn paths_of_packages_are_shortened() {
    let rows = [
        (
            "Cannot find module '/home/u/.npm/_npx/1/node_modules/@acme/sdk/mcp' imported from /home/u/.npm/_npx/1/node_modules/acme/index.js",
            "Cannot find module '…/@acme/sdk/mcp' imported from …/acme/index.js",
        ),
        (
            "Could not load 'System.Runtime, Version=9.0.0.0, Culture=neutral, PublicKeyToken=[masked]'. It was not found.",
            "Could not load 'System.Runtime, Version=9.0.0.0'. It was not found.",
        ),
        (
            "in (C:\\Users\\u\\node_modules\\acme\\index.js)",
            "in (…/acme\\index.js)",
        ),
        ("open /etc/acme.json", "open /etc/acme.json"),
        (
            "see https://x.example/node_modules/acme",
            "see https://x.example/node_modules/acme",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(shorten_paths(text), expected);
    }
}

#[test]
fn a_request_to_the_user_has_its_address_and_its_code() {
    let rows = [
        (
            "Open https://login.example/device and enter the code F7K2\n",
            "Open https://login.example/device and enter the code F7K2",
        ),
        (
            "To sign in, visit:\n\n    https://login.example/device\n\nand enter the code:\n\n    F7K2\n\n⠙ Waiting...\n",
            "To sign in, visit: https://login.example/device and enter the code: F7K2",
        ),
        (
            "Please authorize this client by visiting:\nhttps://auth.example/authorize?response_type=code\n\nBrowser opened.\n",
            "Please authorize this client by visiting: https://auth.example/authorize?response_type=code",
        ),
        ("Listening on http://localhost:1\nlast\n", "last"),
    ];
    for (output, expected) in rows {
        assert_eq!(reason(output, true).as_deref(), Some(expected), "{output}");
    }
}
