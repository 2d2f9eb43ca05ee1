/// Where a node listens.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// A host name, an IPv4 address, or an IPv6 address without brackets.
    public let host: String
    /// The TCP port.
    public let port: Int

    /// The endpoint that `HOST:PORT` names; an IPv6 address stands in brackets: `[::1]:7501`.
    ///
    /// - Throws: ``TenonError/Kind/invalid`` when it names none.
    public init(_ text: some StringProtocol) throws(TenonError) {
        let refusal = TenonError(
            .invalid, .notApplied,
            "\"\(text)\" is no endpoint; write HOST:PORT, an IPv6 address as [::1]:7501")
        guard let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]), (1...65_535).contains(port)
        else { throw refusal }
        let name = text[..<colon]
        if name.hasPrefix("["), name.hasSuffix("]") {
            host = String(name.dropFirst().dropLast())
        } else {
            // A colon outside brackets: an IPv6 address whose port cannot be told from it.
            guard !name.contains(":") else { throw refusal }
            host = String(name)
        }
        guard !host.isEmpty else { throw refusal }
        self.port = port
    }

    /// `HOST:PORT`, an IPv6 address in brackets.
    public var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// The endpoints of a list separated by commas.
    ///
    /// - Throws: ``TenonError/Kind/invalid`` for an empty list or one that holds no endpoint.
    public static func list(_ text: some StringProtocol) throws(TenonError) -> [Endpoint] {
        var endpoints: [Endpoint] = []
        for part in text.split(separator: ",") {
            endpoints.append(try Endpoint(String(part.filter { $0 != " " })))
        }
        guard !endpoints.isEmpty else {
            throw TenonError(.invalid, .notApplied, "no endpoint given; write HOST:PORT,…")
        }
        return endpoints
    }
}
