import Foundation
import Glibc

/// A blocking TCP socket of this machine's loopback address: the system calls of ``LossyProxy``.
struct LoopbackSocket: Hashable, Sendable {
    let descriptor: Int32

    private static let chunkBytes = 64 << 10

    /// Listens on a port that the kernel gives.
    static func listening() throws(ClusterError) -> LoopbackSocket {
        let socket = try make()
        guard unsafe socket.withAddress(port: 0, { unsafe Glibc.bind($0, $1, $2) }) == 0,
            Glibc.listen(socket.descriptor, 64) == 0
        else { throw error("listen") }
        return socket
    }

    /// A connection to `HOST:PORT`, of which only the port counts; nil when nobody listens there.
    static func connected(to address: String) -> LoopbackSocket? {
        guard let port = address.split(separator: ":").last.flatMap({ UInt16($0) }),
            let socket = try? make()
        else { return nil }
        guard unsafe socket.withAddress(port: port, { unsafe Glibc.connect($0, $1, $2) }) == 0
        else {
            socket.close()
            return nil
        }
        socket.sendAtOnce()
        return socket
    }

    var localPort: Int {
        get throws(ClusterError) {
            var address = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let result = unsafe withUnsafeMutableBytes(of: &address) { bytes in
                let generic = unsafe bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
                return unsafe getsockname(descriptor, generic, &length)
            }
            guard result == 0 else { throw LoopbackSocket.error("getsockname") }
            return Int(in_port_t(bigEndian: address.sin_port))
        }
    }

    /// The next connection; nil once the listener is shut down.
    func accept() -> LoopbackSocket? {
        while true {
            let accepted = Glibc.accept(descriptor, nil, nil)
            if accepted >= 0 {
                let socket = LoopbackSocket(descriptor: accepted)
                socket.sendAtOnce()
                return socket
            }
            guard errno == EINTR || errno == ECONNABORTED else { return nil }
        }
    }

    /// What has arrived; nil at the end.
    func read() -> [UInt8]? {
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: LoopbackSocket.chunkBytes) {
            buffer, count in
            var received = 0
            repeat {
                received = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
            } while received < 0 && errno == EINTR
            count = max(0, received)
        }
        return bytes.isEmpty ? nil : bytes
    }

    /// Sends all of it; false when the other end is gone.
    func write(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe send(
                    descriptor, buffer.baseAddress?.advanced(by: sent), buffer.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            if count > 0 { sent += count } else if errno != EINTR { return false }
        }
        return true
    }

    /// Ends both directions: whoever reads or accepts on it returns.
    func shutDown() { _ = Glibc.shutdown(descriptor, Int32(SHUT_RDWR)) }

    func close() { _ = Glibc.close(descriptor) }

    private func sendAtOnce() {
        var yes: Int32 = 1
        _ = unsafe setsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func make() throws(ClusterError) -> LoopbackSocket {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw error("socket") }
        return LoopbackSocket(descriptor: descriptor)
    }

    private func withAddress(
        port: UInt16, _ call: (Int32, UnsafePointer<sockaddr>?, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return unsafe withUnsafeBytes(of: &address) { bytes in
            let generic = unsafe bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return unsafe call(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }

    private static func error(_ call: String) -> ClusterError {
        .system(call: call, path: "127.0.0.1", message: unsafe String(cString: strerror(errno)))
    }
}

/// Threads that block on sockets: a task that did would take a thread from all others.
enum BackgroundThread {
    static func run(_ body: @escaping @Sendable () -> Void) {
        let thread = Thread(block: body)
        thread.name = "lossy-proxy"
        thread.start()
    }
}
