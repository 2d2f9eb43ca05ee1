import Glibc

/// TCP ports of this machine's loopback address.
enum LoopbackPorts {
    /// `count` ports that nobody listens on at this moment, all different.
    ///
    /// The kernel gives them; all are held until the last is there. Somebody else may take one
    /// before a node listens on it: the node then says so and the start fails.
    static func free(_ count: Int) throws(ClusterError) -> [Int] {
        var sockets: [Int32] = []
        defer { for descriptor in sockets { close(descriptor) } }
        var ports: [Int] = []
        for _ in 0..<count {
            let descriptor = try makeSocket()
            sockets.append(descriptor)
            guard let port = bind(descriptor, to: 0) else { throw systemError("bind", port: 0) }
            ports.append(port)
        }
        return ports
    }

    /// Whether a node could listen on `port` now.
    static func isFree(_ port: Int) throws(ClusterError) -> Bool {
        let descriptor = try makeSocket()
        defer { close(descriptor) }
        // As the server does: a port whose last connections still fade away counts as free.
        var yes: Int32 = 1
        _ = unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        return bind(descriptor, to: port) != nil && listen(descriptor, 1) == 0
    }

    private static func makeSocket() throws(ClusterError) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw systemError("socket", port: 0) }
        return descriptor
    }

    /// Binds to the loopback address and returns the port, or nil when it is taken.
    private static func bind(_ descriptor: Int32, to port: Int) -> Int? {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = unsafe withUnsafeMutableBytes(of: &address) { bytes in
            let generic = unsafe bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return unsafe Glibc.bind(descriptor, generic, length) == 0
                && getsockname(descriptor, generic, &length) == 0
        }
        return isBound ? Int(in_port_t(bigEndian: address.sin_port)) : nil
    }

    private static func systemError(_ call: String, port: Int) -> ClusterError {
        .system(
            call: call, path: "127.0.0.1:\(port)", message: unsafe String(cString: strerror(errno)))
    }
}
