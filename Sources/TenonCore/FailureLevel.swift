/// How much is lost at once: the goals that a keyspace can have, the smallest first.
package enum FailureLevel: UInt8, CaseIterable, Comparable, Sendable {
    case node = 0
    /// A machine room.
    case dc = 1
    case city = 2

    package var name: String {
        switch self {
        case .node: "node"
        case .dc: "dc"
        case .city: "city"
        }
    }

    /// The level of a name; nil when none has it.
    package init?(named name: String) {
        guard let level = FailureLevel.allCases.first(where: { $0.name == name }) else {
            return nil
        }
        self = level
    }

    package static func < (one: FailureLevel, other: FailureLevel) -> Bool {
        one.rawValue < other.rawValue
    }
}
