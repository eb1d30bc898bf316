import Foundation

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

#if canImport(Darwin) || canImport(Glibc) || canImport(Musl)
    /// A lock across tasks and processes, for a custom ``CredentialStore``.
    ///
    /// It is `flock` on a file. The system releases it when the process ends.
    public final class FileLock: CredentialLock {
        private let file: FileHandle

        /// Waits for the lock without blocking a thread. Creates the file and its folder if they do not exist, and never deletes them.
        public static func waiting(for url: URL) async throws -> FileLock {
            let file = try open(url)
            while flock(file.fileDescriptor, LOCK_EX | LOCK_NB) != 0 {
                guard errno == EWOULDBLOCK || errno == EINTR else { throw systemError() }
                // `Thread.sleep` would block one of the few threads that all tasks share.
                try await Task.sleep(for: .milliseconds(20))
            }
            return FileLock(file)
        }

        /// Waits for the lock on the calling thread. Use it for a short critical section without `await`. Creates the file and its folder
        /// if they do not exist, and never deletes them.
        public static func blocking(for url: URL) throws -> FileLock {
            let file = try open(url)
            while flock(file.fileDescriptor, LOCK_EX) != 0 {
                guard errno == EINTR else { throw systemError() }
            }
            return FileLock(file)
        }

        /// Releases the lock. Deallocating the object releases it too.
        public func release() {
            flock(file.fileDescriptor, LOCK_UN)
        }

        private init(_ file: FileHandle) {
            self.file = file
        }

        private static func open(_ url: URL) throws -> FileHandle {
            let folder = url.deletingLastPathComponent()
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let descriptor = url.path.withCString {
                #if canImport(Darwin)
                    Darwin.open($0, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
                #elseif canImport(Glibc)
                    Glibc.open($0, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
                #else
                    Musl.open($0, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
                #endif
            }
            guard descriptor >= 0 else { throw systemError() }
            return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        }

        private static func systemError() -> any Error {
            POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
        }
    }
#endif
