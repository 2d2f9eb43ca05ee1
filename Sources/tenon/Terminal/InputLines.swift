import Dispatch
import Foundation
import Glibc

/// Lines of a file or of standard input, read in large pieces on a queue of their own, so that no
/// thread of the pool waits in `read`.
struct InputLines {
    /// The longest line: a transaction of 8 MiB, every byte written as `\u00XX`.
    static let lineBytesMax = 64 << 20
    private static let pieceBytes = 256 << 10

    private let descriptor: Int32
    private let queue = DispatchQueue(label: "tenon.input")
    private var buffer: [UInt8] = []
    private var start = 0
    /// Up to here the buffer holds no line feed.
    private var searched = 0
    private var isAtEnd = false
    /// The number of the line that ``next()`` gave last, from 1.
    private(set) var lineNumber = 0

    /// The lines of the file at `path`; `-` is standard input.
    init(path: String) throws(InputError) {
        if path == "-" {
            descriptor = STDIN_FILENO
            return
        }
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw InputError("cannot open \(path): \(unsafe String(cString: strerror(errno)))")
        }
    }

    /// The next line without its line feed; nil at the end.
    mutating func next() async throws(InputError) -> ArraySlice<UInt8>? {
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer {
                    start = end + 1
                    searched = start
                }
                lineNumber += 1
                return buffer[start..<end]
            }
            searched = buffer.count
            if isAtEnd { return lastLine() }
            guard buffer.count - start <= InputLines.lineBytesMax else {
                throw InputError(
                    "line \(lineNumber + 1) is over \(InputLines.lineBytesMax) B long")
            }
            try await fill()
        }
    }

    private mutating func lastLine() -> ArraySlice<UInt8>? {
        guard start < buffer.count else { return nil }
        defer { start = buffer.count }
        lineNumber += 1
        return buffer[start...]
    }

    private mutating func fill() async throws(InputError) {
        if start > 0 {
            buffer.removeSubrange(0..<start)
            searched -= start
            start = 0
        }
        let descriptor = self.descriptor
        let piece = await withCheckedContinuation { (done: CheckedContinuation<[UInt8]?, Never>) in
            queue.async { done.resume(returning: InputLines.read(descriptor)) }
        }
        guard let piece else {
            throw InputError("cannot read: \(unsafe String(cString: strerror(errno)))")
        }
        isAtEnd = piece.isEmpty
        buffer += piece
    }

    /// The next bytes; empty at the end, nil on an error.
    private static func read(_ descriptor: Int32) -> [UInt8]? {
        while true {
            var count = 0
            let piece = unsafe [UInt8](unsafeUninitializedCapacity: pieceBytes) { room, used in
                count = unsafe Glibc.read(descriptor, room.baseAddress, pieceBytes)
                used = max(0, count)
            }
            if count >= 0 { return piece }
            if errno != EINTR { return nil }
        }
    }
}
