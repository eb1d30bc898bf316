import Foundation

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

#if canImport(Darwin) || canImport(Glibc) || canImport(Musl)
    /// A lock that excludes tasks and processes alike: `flock` on a file, which ends with the process that holds it. For a
    /// ``CredentialStore`` of the app's own.
    public final class FileLock: CredentialLock {
        private let file: FileHandle

        /// Waits until the file is nobody else's. It is made if it is not there, and stays; so does its folder.
        public static func waiting(for url: URL) async throws -> FileLock {
            let file = try open(url)
            while flock(file.fileDescriptor, LOCK_EX | LOCK_NB) != 0 {
                guard errno == EWOULDBLOCK || errno == EINTR else { throw systemError() }
                // Not `Thread.sleep`: the threads that Swift's tasks share are few.
                try await Task.sleep(for: .milliseconds(20))
            }
            return FileLock(file)
        }

        /// The same for a short time, on the thread that asks: for what is held over no `await`.
        public static func blocking(for url: URL) throws -> FileLock {
            let file = try open(url)
            while flock(file.fileDescriptor, LOCK_EX) != 0 {
                guard errno == EINTR else { throw systemError() }
            }
            return FileLock(file)
        }

        /// Gives it back. So does forgetting it.
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
