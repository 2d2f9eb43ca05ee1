import TenonCore
import TenonPlacement
import TenonWire

extension Directory {
    /// With the leaders that the nodes themselves name. The node that gave this directory knows only
    /// those of tablets of which it has a replica: asked for the others, it would call a tablet
    /// leaderless that is written to all the time.
    func led(as statuses: [NodeStatus?]) -> Directory {
        let leaders = ClusterProbe.leaders(in: statuses)
        var directory = self
        for place in tablets.indices {
            if let leader = leaders[tablets[place].id] { directory.tablets[place].leader = leader }
        }
        return directory
    }
}

extension Topology {
    /// The nodes of the directory; `problems` gets what cannot be read.
    init(_ directory: Directory, problems: inout [String]) {
        self.init(
            directory.nodes.map { node in
                var locality = Locality.unknown
                do throws(LocalityError) {
                    locality = try Locality(parsing: node.locality)
                } catch {
                    problems.append(
                        "the locality of \(node.name) cannot be read: \(error.problem)")
                }
                return Topology.Node(id: node.id, name: node.name, locality: locality)
            })
    }
}

extension Directory {
    /// The voters that a tablet is to have of `replicas`, when the nodes that stay allow.
    func votersWanted(_ replicas: Int) -> Int {
        Placement.votersWanted(
            replicas,
            nodes: Placement.usable(nodes.filter { $0.state != .leaving }.map(\.isWitness)))
    }

    /// What the directory's own tablet is to survive: all that these nodes allow.
    func ownGoal(in topology: Topology) -> FailureLevel {
        let layout = VoterLayout(
            topology.nodes.map { place in
                Placement.Node(
                    id: place.id, locality: place.locality,
                    isWitness: node(place.id)?.isWitness ?? false)
            })
        return layout.highestLevel(votersWanted(Directory.ownVoters)) { place in
            self.node(layout.nodes[place].id)?.state != .leaving
        }
    }

    /// As many as the directory's own tablet has when there are nodes enough.
    static let ownVoters = 5
}

extension TabletDescriptor {
    /// The nodes of its voters that have no data (Rule C7).
    var witnesses: [NodeID] { voters.filter(\.isWitness).map(\.node) }
}
