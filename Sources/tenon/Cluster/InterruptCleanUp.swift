import Dispatch
import Glibc

/// Runs `body`; when SIGINT, SIGTERM or SIGHUP comes meanwhile, runs `cleanUp` and ends the
/// process with 128 plus the signal's number, as a shell expects.
///
/// For commands that start processes with sessions of their own: the terminal's Ctrl-C does not
/// reach those. Nothing helps against SIGKILL of this process.
func withInterruptCleanUp<Result>(
    _ cleanUp: @escaping @Sendable () -> Void, body: () async throws -> Result
) async rethrows -> Result {
    let numbers = [SIGINT, SIGTERM, SIGHUP]
    let sources = numbers.map { number in
        // The default action would end the process before the source hears of the signal.
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler {
            cleanUp()
            exit(128 + number)
        }
        source.resume()
        return source
    }
    defer {
        for source in sources { source.cancel() }
        for number in numbers { signal(number, SIG_DFL) }
    }
    return try await body()
}
