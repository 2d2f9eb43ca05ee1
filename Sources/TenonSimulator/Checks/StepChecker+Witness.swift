internal import TenonCore
internal import TenonNode
internal import TenonRaft

/// What a witness drops (Rule C7).
extension StepChecker {
    /// The log of a tablet is trimmed through `through`: where its replica is a witness, voters with
    /// data in two cities have to hold that. By where machines stand, not by what anybody told.
    ///
    /// For scenarios whose keyspace is to survive the loss of a city all the time.
    func checkDroppedByWitness(_ through: LogIndex, _ host: SimulatedHost, _ tablet: Int) {
        guard let probe = lastProbes[rank(of: host)][tablet], probe.isWitness, !probe.isLogFull
        else { return }
        guard let term = truths[tablet].committedTerm(at: through) else {
            return fail(
                .keptByWitness,
                "\(host.name), a witness of tablet \(tablet + 1), drops entries through "
                    + "\(through), which is not committed")
        }
        let membership = probe.membership
        let places = membership.members.withData.filter {
            holdsDurably($0.replica, of: membership, through, term, tablet: tablet)
        }.compactMap { place(of: $0.node, at: .city) }
        guard Set(places).count < 2 else { return }
        fail(
            .keptByWitness,
            "\(host.name), a witness of tablet \(tablet + 1), drops entries through \(through), "
                + "which are on disks of \(places) only")
    }
}
