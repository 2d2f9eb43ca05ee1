import Foundation
import Glibc

/// A TCP connection to a port of 127.0.0.1 that says what no client would. Closed at its end.
final class RawConnection {
    private let descriptor: Int32

    /// Nil when nobody listens there.
    init?(to port: UInt16) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = LoopbackAddress.make(port: port)
        let isConnected = unsafe withUnsafeBytes(of: &address) { raw in
            let generic = unsafe raw.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return unsafe connect(
                descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
        guard isConnected else { return nil }
        var limit = timeval(tv_sec: 5, tv_usec: 0)
        _ = unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { _ = close(descriptor) }

    /// Sends what the other end takes.
    func send(_ bytes: [UInt8]) {
        _ = unsafe bytes.withUnsafeBytes { raw in
            unsafe Glibc.send(descriptor, raw.baseAddress, raw.count, Int32(MSG_NOSIGNAL))
        }
    }

    /// Whether the other end closes within five seconds; what it says before is passed over.
    func isClosedByPeer() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            if count == 0 { return true }
            // A close with bytes unread is a reset; EAGAIN is the five seconds.
            if count < 0 { return errno == ECONNRESET }
        }
    }
}

/// Ports of 127.0.0.1.
enum FreePort {
    struct NoneLeft: Error {}

    /// A port that nobody listens on at this moment.
    static func any() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { _ = close(descriptor) }
        var address = LoopbackAddress.make(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = unsafe withUnsafeMutableBytes(of: &address) { raw in
            let generic = unsafe raw.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return unsafe bind(descriptor, generic, length) == 0
                && getsockname(descriptor, generic, &length) == 0
        }
        guard isBound else { throw NoneLeft() }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

private enum LoopbackAddress {
    static func make(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return address
    }
}
