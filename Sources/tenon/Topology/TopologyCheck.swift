import TenonCore
import TenonPlacement
import TenonWire

/// What each keyspace survives, by where its voters stand.
struct TopologyCheck {
    /// A keyspace at one level: the loss that does most to one of its tablets.
    struct Finding {
        let level: FailureLevel
        /// Nil when some voter's locality does not say.
        let worst: (tablet: TabletID, loss: Loss)?
    }

    struct Keyspace {
        let name: String
        let tablets: Int
        /// The fewest voters of a tablet, and how many there should be.
        let voters: Int
        let wanted: Int
        /// The most of a tablet's voters that are no copies (Rule C7).
        let witnesses: Int
        /// What it is to survive.
        let goal: FailureLevel
        /// Tablets whose commits do not need yet what the keyspace asks (Rule C6).
        let unasked: [TabletID]
        let findings: [Finding]
        /// Voters that are not there, of which tablet, and why.
        let absent: [String]
    }

    let topology: Topology
    let down: Set<NodeID>
    let keyspaces: [Keyspace]
    /// What is wrong with localities.
    let problems: [String]

    init(
        _ directory: Directory, down: Set<NodeID>, missing: MissingReplicas = MissingReplicas()
    ) {
        var problems: [String] = []
        let topology = Topology(directory, problems: &problems)
        self.topology = topology
        self.down = down
        self.problems = problems + TopologyCheck.unlabelled(topology)
        let named =
            [
                (
                    KeyspaceID.directory, "(directory)", Directory.ownVoters,
                    directory.ownGoal(in: topology), AcknowledgementRule.majority
                )
            ]
            + directory.keyspaces.filter { !$0.isDropped }.map {
                ($0.id, $0.name, $0.replicas, $0.policy.survive, $0.policy.acknowledgement)
            }
        keyspaces = named.compactMap { id, name, replicas, goal, rule in
            let tablets = directory.tablets.filter { $0.keyspace == id && !$0.voters.isEmpty }
            guard !tablets.isEmpty else { return nil }
            return Keyspace(
                name, tablets, wanted: directory.votersWanted(replicas), goal: goal, rule, topology,
                down, missing)
        }
    }

    private static func unlabelled(_ topology: Topology) -> [String] {
        [FailureLevel.dc, .city].compactMap { level in
            let nodes = topology.unlabelled(at: level).map(\.name)
            guard !nodes.isEmpty else { return nil }
            return "no \(level.name) is known of \(nodes.joined(separator: ", ")): start them with "
                + "--locality city=…,dc=…"
        }
    }

    /// What is at risk, and of what.
    var risks: [String] { keyspaces.flatMap(\.risks) }
}

extension TopologyCheck.Keyspace {
    fileprivate init(
        _ name: String, _ tablets: [TabletDescriptor], wanted: Int, goal: FailureLevel,
        _ rule: AcknowledgementRule, _ topology: Topology, _ down: Set<NodeID>,
        _ missing: MissingReplicas
    ) {
        self.goal = goal
        self.name = name
        self.tablets = tablets.count
        self.wanted = wanted
        voters = tablets.map(\.voters.count).min() ?? 0
        witnesses = tablets.map(\.witnesses.count).max() ?? 0
        absent = tablets.flatMap { tablet in
            missing.voters(of: tablet.id).map { voter in
                let name = topology.node(voter.node)?.name ?? "node \(voter.node)"
                return "tablet \(tablet.id): its voter on \(name) \(voter.reason)"
            }
        }
        unasked = tablets.filter { $0.acknowledgement.rule.isWeaker(than: rule) }.map(\.id)
        let survivals = tablets.map { tablet in
            (
                tablet.id,
                Survival(
                    voters: tablet.voters.map(\.node), witnesses: tablet.witnesses,
                    keptUntil: goal, acknowledgement: tablet.acknowledgement.rule,
                    down: down.union(missing.voters(of: tablet.id).map(\.node)), in: topology)
            )
        }
        findings = FailureLevel.allCases.map { level in
            var losses: [(tablet: TabletID, loss: Loss)] = []
            for (id, survival) in survivals {
                guard let loss = survival.worstLoss(at: level) else {
                    return TopologyCheck.Finding(level: level, worst: nil)
                }
                losses.append((id, loss))
            }
            let worst = losses.max {
                ($0.loss.verdict, -$0.loss.left.count) < ($1.loss.verdict, -$1.loss.left.count)
            }
            return TopologyCheck.Finding(level: level, worst: worst)
        }
    }

    fileprivate var risks: [String] {
        if voters < wanted {
            return ["\(name) has a tablet with \(voters) voters and should have \(wanted)"]
        }
        guard wanted >= 3 || goal > .node else { return [] }
        return findings.filter { $0.level <= goal }.compactMap { finding in
            guard let (tablet, loss) = finding.worst else {
                return "\(name) is to survive the loss of a \(goal.name), and the "
                    + "\(finding.level.name) of some voter is not known"
            }
            guard loss.verdict != .byItself else { return nil }
            return "\(name) would not survive the loss of \(loss.domain): tablet \(tablet) would "
                + "have \(loss.leftText)"
        }
            + absent.prefix(1)
            + unasked.prefix(1).map {
                "\(name) acknowledges writes of tablet \($0) without a voter elsewhere yet"
            }
    }
}

extension TopologyCheck {
    /// For a person.
    var text: String {
        let table = TextTable(
            header: ["keyspace", "to survive", "tablets", "voters"]
                + FailureLevel.allCases.map(\.name),
            rows: keyspaces.map { keyspace in
                [
                    "\(keyspace.name)", keyspace.goal.name, "\(keyspace.tablets)",
                    keyspace.witnesses == 0
                        ? "\(keyspace.voters)"
                        : "\(keyspace.voters), \(keyspace.witnesses) of them witness",
                ]
                    + keyspace.findings.map(\.text)
            })
        var lines = [table.description]
        let lost = topology.nodes.filter { down.contains($0.id) }.map(\.name)
        if !lost.isEmpty {
            lines.append("do not answer, counted as lost: \(lost.joined(separator: ", "))")
        }
        lines += problems.map { "note: \($0)" }
        lines += risks.map { "AT RISK: \($0)" }
        return lines.joined(separator: "\n")
    }

    /// For scripts.
    var json: JSON {
        [
            "nodes": .array(topology.nodes.map(json)),
            "keyspaces": .array(keyspaces.map(json)),
            "notes": .array(problems.map { .string($0) }),
            "risks": .array(risks.map { .string($0) }),
        ]
    }

    private func json(_ node: Topology.Node) -> JSON {
        [
            "name": .string(node.name), "locality": .string(node.locality.description),
            "reachable": .bool(!down.contains(node.id)),
        ]
    }

    private func json(_ keyspace: Keyspace) -> JSON {
        [
            "keyspace": .string(keyspace.name), "goal": .string(keyspace.goal.name),
            "tablets": .integer(keyspace.tablets),
            "voters": .integer(keyspace.voters), "wanted": .integer(keyspace.wanted),
            "witnesses": .integer(keyspace.witnesses),
            "levels": .array(keyspace.findings.map(json)),
        ]
    }

    private func json(_ finding: Finding) -> JSON {
        guard let (tablet, loss) = finding.worst else {
            return ["level": .string(finding.level.name), "survives": .null]
        }
        return [
            "level": .string(finding.level.name), "survives": .string(loss.verdict.name),
            "worst": .string(loss.domain.name), "tablet": .integer(tablet.rawValue),
            "left": .integer(loss.left.count), "majority": .integer(loss.majority),
        ]
    }
}

extension TopologyCheck.Finding {
    fileprivate var text: String {
        guard let (_, loss) = worst else { return "?" }
        guard loss.verdict != .byItself else { return loss.verdict.name }
        return "\(loss.verdict.name): \(loss.domain.name) (\(loss.left.count) of "
            + "\(loss.majority) left)"
    }
}
