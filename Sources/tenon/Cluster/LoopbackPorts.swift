import ArgumentParser
import Glibc

/// One of this machine's two loopback addresses.
enum LoopbackHost: String, CaseIterable, Sendable, ExpressibleByArgument {
    case version4 = "127.0.0.1"
    case version6 = "::1"

    /// The one that a `HOST:PORT` of a local cluster names.
    init(ofAddress address: String) { self = address.hasPrefix("[") ? .version6 : .version4 }

    /// `HOST:PORT`, the IPv6 host in brackets.
    func address(port: Int) -> String {
        self == .version6 ? "[\(rawValue)]:\(port)" : "\(rawValue):\(port)"
    }

    var family: Int32 { self == .version6 ? AF_INET6 : AF_INET }

    /// The bytes of a `sockaddr_in` or a `sockaddr_in6`: family 2 · port 2, big-endian · IPv4:
    /// address 4 · zeros 8; IPv6: flow 4 · address 16 · scope 4.
    func socketAddress(port: Int) -> [UInt8] {
        let start = [
            UInt8(truncatingIfNeeded: family), 0, UInt8(truncatingIfNeeded: port >> 8),
            UInt8(truncatingIfNeeded: port),
        ]
        let rest: [UInt8] =
            switch self {
            case .version4: [127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
            case .version6: [UInt8](repeating: 0, count: 19) + [1, 0, 0, 0, 0]
            }
        return start + rest
    }

    /// The port in the bytes of a socket address of either kind.
    static func port(inSocketAddress bytes: [UInt8]) -> Int { Int(bytes[2]) << 8 | Int(bytes[3]) }
}

/// TCP ports of this machine's loopback address.
enum LoopbackPorts {
    /// Where free ports are looked for: below those that Linux gives to outgoing connections
    /// (32768 and up), one of which could take a port while its node is down.
    private static let range = 10_000..<32_000
    private static let attemptsMax = 1_000

    /// `count` ports that nobody listens on at this moment, all different.
    ///
    /// All are held until the last is there. Somebody else may take one before a node listens on
    /// it: the node then says so and the start fails.
    static func free(
        _ count: Int, on host: LoopbackHost = .version4
    ) throws(ClusterError) -> [Int] {
        var sockets: [Int32] = []
        defer { for descriptor in sockets { close(descriptor) } }
        var ports: [Int] = []
        var attemptsLeft = attemptsMax
        while ports.count < count {
            guard attemptsLeft > 0 else { throw systemError("bind", host) }
            attemptsLeft -= 1
            let descriptor = try makeSocket(host)
            sockets.append(descriptor)
            if let port = bind(descriptor, to: Int.random(in: range), on: host) {
                ports.append(port)
            }
        }
        return ports
    }

    /// Whether a node could listen on `port` now.
    static func isFree(
        _ port: Int, on host: LoopbackHost = .version4
    ) throws(ClusterError) -> Bool {
        let descriptor = try makeSocket(host)
        defer { close(descriptor) }
        // As the server does: a port whose last connections still fade away counts as free.
        var yes: Int32 = 1
        _ = unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        return bind(descriptor, to: port, on: host) != nil && listen(descriptor, 1) == 0
    }

    private static func makeSocket(_ host: LoopbackHost) throws(ClusterError) -> Int32 {
        let descriptor = socket(host.family, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw systemError("socket", host) }
        return descriptor
    }

    /// Binds to the loopback address and returns the port, or nil when it is taken.
    private static func bind(_ descriptor: Int32, to port: Int, on host: LoopbackHost) -> Int? {
        var address = host.socketAddress(port: port)
        var length = socklen_t(address.count)
        let isBound = unsafe address.withUnsafeMutableBytes { bytes in
            let generic = unsafe bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return unsafe Glibc.bind(descriptor, generic, length) == 0
                && getsockname(descriptor, generic, &length) == 0
        }
        return isBound ? LoopbackHost.port(inSocketAddress: address) : nil
    }

    private static func systemError(_ call: String, _ host: LoopbackHost) -> ClusterError {
        .system(call: call, path: host.rawValue, message: unsafe String(cString: strerror(errno)))
    }
}
