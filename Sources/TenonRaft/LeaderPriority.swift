/// How soon a voter stands for election when it misses its leader: first where a leader should be.
///
/// A wish of the node, not a part of the configuration: replicas may differ in what they think of
/// each other, and whoever is alone is elected all the same, only later.
package enum LeaderPriority: UInt8, Hashable, Sendable {
    /// Like everybody, unless something speaks against it.
    case first
    /// A little later than those at home, who then mostly win. Less than an election later: when
    /// all of home is lost nobody should wait for it.
    case away
    /// After an election among the first: a leader here would soon be moved away.
    case second
    /// After two elections among others: this node should not lead (Rule S2).
    case last
    /// A witness (Rule C7), whatever its node wishes: after everybody else. It can serve nobody,
    /// and is elected only when no other log is as new as its own.
    case witness
}
