internal import NIOCore
import TenonCore

/// A host and a port as users write them: `127.0.0.1:7501`, `[::1]:7501`, `db1.example:7501`.
package struct NetworkAddress: Hashable, Sendable, CustomStringConvertible {
    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// - Throws: ``SettingError`` that says what form an address has.
    package init(parsing text: String, setting: String) throws(SettingError) {
        guard let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port)
        else {
            throw SettingError(
                setting: setting,
                problem: "\"\(text)\" is no address: write HOST:PORT, an IPv6 host as [::1]:7501")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            throw SettingError(
                setting: setting, problem: "write the IPv6 host of \"\(text)\" in brackets")
        }
        guard !host.isEmpty else {
            throw SettingError(setting: setting, problem: "\"\(text)\" names no host")
        }
        self.init(host: host, port: port)
    }

    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Whether only this machine can reach it.
    package var isLoopback: Bool {
        host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
}

/// A setting that cannot be used, and what to write instead.
package struct SettingError: Error, Hashable, Sendable, CustomStringConvertible {
    package var setting: String
    package var problem: String

    package init(setting: String, problem: String) {
        self.setting = setting
        self.problem = problem
    }

    package var description: String { "\(setting): \(problem)" }
}
