/// Where a node stands, the outermost tier first: `city=shanghai,dc=sh1,rack=r7`.
///
/// The levels `city` and `dc` say what is lost together (``FailureLevel``); others are kept and
/// shown, and mean nothing to the planner.
package struct Locality: Hashable, Sendable, CustomStringConvertible {
    package struct Tier: Hashable, Sendable {
        package var level: String
        package var name: String
    }

    package let tiers: [Tier]

    /// Nothing is known.
    package static let unknown = Locality(tiers: [])

    private init(tiers: [Tier]) { self.tiers = tiers }

    /// - Parameter text: tiers `LEVEL=NAME`, separated by commas; empty for ``unknown``.
    package init(parsing text: String) throws(LocalityError) {
        guard text.utf8.count <= Limits.localityBytesMax else {
            throw LocalityError(
                problem: "it is longer than \(Limits.localityBytesMax) bytes: use shorter names")
        }
        var tiers: [Tier] = []
        for item in text.split(separator: ",", omittingEmptySubsequences: false)
        where !text.isEmpty {
            let parts = item.split(separator: "=", omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
                throw LocalityError(
                    problem: "\"\(item)\" is not of the form LEVEL=NAME, as in city=shanghai")
            }
            guard !item.contains("/"), !item.contains(where: \.isWhitespace) else {
                throw LocalityError(problem: "\"\(item)\" has a slash or a space in it")
            }
            let tier = Tier(level: String(parts[0]), name: String(parts[1]))
            guard !tiers.contains(where: { $0.level == tier.level }) else {
                throw LocalityError(problem: "it has two tiers \(tier.level): give one")
            }
            tiers.append(tier)
        }
        self.init(tiers: tiers)
    }

    /// The name at `level`, nil when none was given.
    package func name(at level: String) -> String? {
        tiers.first { $0.level == level }?.name
    }

    package var description: String {
        tiers.map { "\($0.level)=\($0.name)" }.joined(separator: ",")
    }
}

/// Why a text is no locality, and what to write instead.
package struct LocalityError: Error, Hashable, Sendable {
    package let problem: String
}
