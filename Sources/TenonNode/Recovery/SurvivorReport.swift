package import TenonCore
package import TenonRaft
package import TenonWire

/// What a stopped node's data folder holds, for an operator's recovery (Rule C10).
///
/// Everything in it is durable in that folder: the log was opened as at a start (Rule L3).
package struct SurvivorReport: Hashable, Sendable {
    package var cluster: ClusterID
    package var epoch: Epoch
    package var node: NodeID
    package var name: String
    /// Where the folder was when it was read; for the operator only.
    package var folder: String
    /// The copy of the directory that the node saved last; it may be old.
    package var directory: Directory
    /// The node's replicas, by tablet.
    package var tablets: [Tablet]

    package init(
        cluster: ClusterID, epoch: Epoch, node: NodeID, name: String, folder: String,
        directory: Directory, tablets: [Tablet]
    ) {
        self.cluster = cluster
        self.epoch = epoch
        self.node = node
        self.name = name
        self.folder = folder
        self.directory = directory
        self.tablets = tablets
    }

    package func tablet(_ id: TabletID) -> Tablet? { tablets.first { $0.tablet == id } }

    /// Whether a replica is all that it promised to be.
    package enum Verdict: Hashable, Sendable {
        case whole
        /// Something of its log or its store is lost; what.
        case damaged(String)
        /// Anything may be missing, a vote included; why.
        case suspect(String)

        package var isWhole: Bool { self == .whole }

        /// As reports print it.
        package var name: String {
            switch self {
            case .whole: "whole"
            case .damaged: "damaged"
            case .suspect: "suspect"
            }
        }

        /// What is wrong; empty when nothing is.
        package var reason: String {
            switch self {
            case .whole: ""
            case .damaged(let reason), .suspect(let reason): reason
            }
        }
    }

    /// From here on, up to the next one, entries are of this term.
    package struct TermStart: Hashable, Sendable {
        package var index: LogIndex
        package var term: Term

        package init(index: LogIndex, term: Term) {
            self.index = index
            self.term = term
        }
    }

    /// One replica.
    package struct Tablet: Hashable, Sendable {
        package var tablet: TabletID
        /// ``ReplicaID/none`` when the replica's record is lost.
        package var replica: ReplicaID
        package var keyspace: KeyspaceID
        package var lower: Bytes
        /// Nil for the end of the keyspace.
        package var upper: Bytes?
        package var verdict: Verdict
        /// The newest term it knows of.
        package var term: Term
        /// The last entry that it knows to be committed: a lower bound.
        package var commit: LogIndex
        /// The version of the last command at or before ``commit``; zero before the first.
        package var committedVersion: Timestamp
        /// The last entry of its log, committed or not.
        package var last: LogPosition
        /// The version of the last command in its log; zero before the first.
        package var lastVersion: Timestamp
        /// The terms of its entries, oldest first; before the first one nothing is held.
        package var terms: [TermStart]
        /// The configuration in force in it; nil when it is not whole.
        package var membership: Membership?

        package init(
            tablet: TabletID, replica: ReplicaID, keyspace: KeyspaceID, lower: Bytes,
            upper: Bytes?, verdict: Verdict, term: Term = .zero, commit: LogIndex = .zero,
            committedVersion: Timestamp = .zero, last: LogPosition = .zero,
            lastVersion: Timestamp = .zero, terms: [TermStart] = [], membership: Membership? = nil
        ) {
            self.tablet = tablet
            self.replica = replica
            self.keyspace = keyspace
            self.lower = lower
            self.upper = upper
            self.verdict = verdict
            self.term = term
            self.commit = commit
            self.committedVersion = committedVersion
            self.last = last
            self.lastVersion = lastVersion
            self.terms = terms
            self.membership = membership
        }

        package var lastIndex: LogIndex { last.index }
        package var lastTerm: Term { last.term }

        /// The term of the entry at `index`; nil when it is not held.
        package func term(at index: LogIndex) -> Term? {
            guard index <= last.index else { return nil }
            return terms.last { $0.index <= index }?.term
        }

        /// The last entry that this log and `other` have in common: entries with equal index and
        /// term are equal, and so is all before them.
        ///
        /// - Returns: the index; one before the younger log's beginning when none is known, for
        ///   what a log does not hold any more was committed.
        /// - Complexity: O(terms of the two).
        package func lastCommonIndex(with other: Tablet) -> LogIndex {
            let starts = terms.map(\.index) + other.terms.map(\.index)
            let end = min(last.index, other.last.index)
            // Between two starts both terms stay, so only the last index of each piece matters.
            let ends = starts.filter { $0 > .zero && $0 <= end }.map(\.previous) + [end]
            let common = ends.filter { index in
                guard let term = term(at: index) else { return false }
                return term == other.term(at: index)
            }.max()
            if let common { return common }
            let first = max(terms.first?.index ?? .zero, other.terms.first?.index ?? .zero)
            return first > .zero ? first.previous : .zero
        }
    }
}
