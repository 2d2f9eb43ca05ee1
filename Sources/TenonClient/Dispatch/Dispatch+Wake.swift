internal import TenonCore
internal import TenonWire

extension Dispatch {
    /// Looks at all that depends on time: deadlines, pauses that end, links that are silent.
    ///
    /// One pass over the slots serves all calls, so no call costs a timer.
    /// - Complexity: O(calls under way).
    mutating func wake(at now: Instant) {
        excuseLinks(at: now)
        nextWake = .distantFuture
        let hadNewLeaders = hasNewLeaders
        hasNewLeaders = false
        var owesAnswers = [Bool](repeating: false, count: links.count)
        for place in 0..<pending.capacity where pending.isUsed(place) {
            wake(place, hadNewLeaders, at: now)
            // A call may have ended, or moved to a link that is new since.
            if case .sent(let link) = pending[place].stage, link < owesAnswers.count {
                owesAnswers[link] = true
            }
        }
        for link in owesAnswers.indices {
            watch(link, owesAnswers: owesAnswers[link], at: now)
        }
        let isWatching =
            owesAnswers.contains(true) || links.contains { $0.isOpening || $0.isSuspected }
        if isWatching { wakeNoLater(than: now + Dispatch.watchInterval) }
        watchedAt = isWatching ? now : nil
        refreshDirectory(at: now)
        // A pass looks at every call: with many of them passes keep a distance.
        if pending.capacity > Dispatch.callsBeforeDistance {
            nextWake = max(nextWake, now + Dispatch.wakeDistance)
        }
    }

    /// A client that is woken too late could not have heard anybody either.
    private mutating func excuseLinks(at now: Instant) {
        guard let watchedAt, now >= watchedAt + Dispatch.watchInterval * 2 else { return }
        for link in links.indices { links[link].excuse(at: now) }
    }

    private mutating func wake(_ place: Int, _ hadNewLeaders: Bool, at now: Instant) {
        if pending[place].call.deadline <= now {
            complete(place, .failure(expiry(of: pending[place])))
            return
        }
        wakeNoLater(than: pending[place].call.deadline)
        switch pending[place].stage {
        case .pausing(let until) where until <= now: route(place, at: now)
        case .pausing(let until): wakeNoLater(than: until)
        case .unrouted: route(place, at: now)
        case .leaderless(let tablet):
            let scout = routes.nextScout(at: tablet)
            if hadNewLeaders || scout <= now {
                route(place, at: now)
            } else {
                wakeNoLater(than: scout)
            }
        case .queued, .sent: break
        }
    }

    private func expiry(of call: PendingCall) -> TenonError {
        call.stage == .unrouted
            ? TenonError(.unavailable, .notApplied, reachingNobody)
            : call.attempts.expired(isUnderWay: call.isSent)
    }

    private mutating func watch(_ link: Int, owesAnswers: Bool, at now: Instant) {
        switch links[link].checkSilence(
            owesAnswers: owesAnswers, at: now, bound: settings.silenceBound)
        {
        case .none: break
        case .ping: ping(link, at: now)
        case .suspect:
            if let node = links[link].node { routes.forget(leader: node) }
            moveCalls(from: link, at: now)
            fetchDirectory(at: now)
        case .abandon: hangUp(link, "it does not answer", at: now)
        }
    }
}
