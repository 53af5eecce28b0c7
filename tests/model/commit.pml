/* The catalog's commits: edits created if absent, checkpoints, collected edits, and committers that slept.
 *
 * Two processes follow a chain of numbered edits; a committer creates the next one, if it is absent; one that does not is a reader. A
 * collector writes checkpoints and removes what they cover, so that a number that once had its edit is absent again: whoever slept
 * takes it for the end of the chain. Time is in minutes: at most MINUTE is "just now", an edit is kept for HOUR after a
 * checkpoint covers it. docs/model.md has the rules, and says which code each step stands for.
 *
 * -DBROKEN_...: one rule is left out, and one of the named assertions must fail. */

#ifndef EDITS
#define EDITS 3
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 3 /* to create an edit, in all */
#endif
#ifndef POWER_CUTS
#define POWER_CUTS 1
#endif
#define MINUTE 1
#define HOUR 2
#ifndef LAST_MINUTE
#define LAST_MINUTE 2
#endif

/* What is stored. An edit is known by its nonce; 0: absent. */
byte edit[EDITS + 2], names[EDITS + 2]; /* names: the edit before, by its checksum */
bit durable[EDITS + 2];
bit checkpoint[EDITS + 2];
byte covered[EDITS + 2]; /* since when by a checkpoint, plus 1; 0: not */
byte newest_checkpoint;  /* 0: an empty catalog, where all begin */
byte clock, power_cuts, attempts;

/* What truly happened: the edits in their order. */
byte history[EDITS + 2], head;
bit promised[EDITS + 2]; /* committed, and somebody was told */

/* The processes. */
mtype = {away, following, verifying, current, created, listing, syncing};
mtype phase[2] = away;
byte known[2], nonce[2]; /* the last edit they know: number and nonce */
byte began[2];           /* with this checkpoint */
byte since[2];           /* the end of the chain was read then, or later */
bit sure[2];             /* it has been read since they opened the catalog */
byte refreshed[2];       /* when reading on began */
byte floor[2];           /* the head of that moment */
byte mine[2];            /* the nonce of what they create */
bit hasty[2];

inline forget(p)
{
	phase[p] = away; known[p] = 0; nonce[p] = 0; began[p] = 0; since[p] = 0; sure[p] = 0;
	refreshed[p] = 0; floor[p] = 0; mine[p] = 0
}

inline read_on(p)
{
	refreshed[p] = clock; floor[p] = head; phase[p] = following
}

#define IS_JUST_NOW(p) (sure[p] && clock - since[p] <= MINUTE)
#define NEXT(p) (known[p] + 1)
#ifdef BROKEN_LATE_CHECKPOINT
#define IS_THERE(p) (history[known[p]] == nonce[p])
#else
#define IS_THERE(p) (history[known[p]] == nonce[p] && edit[known[p]] == nonce[p])
#endif

proctype process(byte p)
{
	byte c;
end:	do
	/* Open: the hint names some checkpoint that is there, the newest one or an older one. */
	:: atomic { phase[p] == away ->
		c = 0;
		do
		:: c < EDITS -> c++
		:: checkpoint[c] -> break
		:: c == EDITS && !checkpoint[c] -> c = newest_checkpoint; break
		od;
		d_step {
			known[p] = c; nonce[p] = history[c]; began[p] = c;
#ifdef BROKEN_VERIFY_OPENED
			since[p] = clock;
#endif
			c = 0;
			read_on(p) } }
	/* Follow the chain until an edit is absent. */
	:: d_step { phase[p] == following && edit[NEXT(p)] != 0 && names[NEXT(p)] == nonce[p] ->
		known[p] = known[p] + 1; nonce[p] = edit[known[p]] }
	:: d_step { phase[p] == following && (edit[NEXT(p)] == 0 || names[NEXT(p)] != nonce[p]) ->
		phase[p] = verifying }
	/* Absent, or collected? Those who have not looked for a while look for the checkpoint they began with. */
	:: d_step { phase[p] == verifying ->
		if
#ifdef BROKEN_VERIFY
		:: sure[p] || checkpoint[began[p]] -> phase[p] = current
#else
#ifdef BROKEN_VERIFY_OPENED
		:: clock - since[p] <= MINUTE || checkpoint[began[p]] -> phase[p] = current
#else
		:: IS_JUST_NOW(p) || checkpoint[began[p]] -> phase[p] = current
#endif
#endif
		:: else -> forget(p)
		fi;
		if
		:: phase[p] == current ->
			what_is_known_is_history: assert(history[known[p]] == nonce[p]);
			nothing_newer_is_missed: assert(known[p] >= floor[p]);
			since[p] = refreshed[p]; sure[p] = 1; refreshed[p] = 0; floor[p] = 0;
			durable[known[p]] = 1 /* settle: what is built on is durable */
		:: else
		fi }
	/* A committer also puts checkpoints, of what it knows, however late: but not once its edit is collected. */
	:: d_step { phase[p] == current && known[p] > 0 && !checkpoint[known[p]] && IS_THERE(p) ->
		checkpoint[known[p]] = 1;
		if :: newest_checkpoint < known[p] -> newest_checkpoint = known[p] :: else fi;
		if :: known[p] >= 1 && covered[1] == 0 -> covered[1] = clock + 1 :: else fi;
		if :: known[p] >= 2 && covered[2] == 0 -> covered[2] = clock + 1 :: else fi;
		if :: known[p] >= 3 && covered[3] == 0 -> covered[3] = clock + 1 :: else fi }
	/* Look again, now or later. */
	:: d_step { phase[p] == current -> read_on(p) }
#ifdef BROKEN_MEASURE_EARLY /* the time is taken before creating: that may be hours later */
	:: d_step { phase[p] == current && IS_JUST_NOW(p) -> hasty[p] = 1 }
#endif
	/* Create the next edit, if it is absent. */
	:: d_step { phase[p] == current && attempts < ATTEMPTS && known[p] < EDITS ->
		attempts++;
		mine[p] = attempts;
		if
		:: edit[NEXT(p)] == 0 ->
			if
			:: known[p] == head && history[head] == nonce[p] -> head++; history[head] = mine[p]
			:: else /* a number that was collected */
			fi;
			edit[NEXT(p)] = mine[p]; names[NEXT(p)] = nonce[p]; durable[NEXT(p)] = 0;
			phase[p] = created
		:: else ->
#ifdef BROKEN_NONCE /* an answer may have got lost, so what is there may be ours; equal records do not say so */
			phase[p] = created
#else
			mine[p] = 0;
			read_on(p)
#endif
		fi;
#ifdef BROKEN_MEASURE_EARLY
		if :: hasty[p] && phase[p] == created -> phase[p] = syncing :: else fi;
		hasty[p] = 0
#endif
		}
	/* Afterwards: was that just now? */
	:: d_step { phase[p] == created ->
#ifdef BROKEN_LIST
		phase[p] = syncing
#else
		phase[p] = (IS_JUST_NOW(p) -> syncing : listing)
#endif
		}
	/* If not: a checkpoint at or above the number says that somebody had it before, or that others were quick. The next edit names ours,
	 * or the checkpoint of the number is of ours; it names another's; or nobody can tell any more, and the process stops. */
	:: d_step { phase[p] == listing ->
		if
		:: newest_checkpoint < NEXT(p) -> phase[p] = syncing
#ifdef BROKEN_PLAIN_RULE
		:: else ->
			what_failed_is_not_history: assert(history[NEXT(p)] != mine[p]);
			forget(p)
#else
		:: newest_checkpoint >= NEXT(p) && ((newest_checkpoint == NEXT(p) && history[newest_checkpoint] == mine[p]) ||
			(edit[NEXT(p)] == mine[p] && edit[NEXT(p) + 1] != 0 && names[NEXT(p) + 1] == mine[p])) ->
			phase[p] = syncing
		:: newest_checkpoint >= NEXT(p) && ((newest_checkpoint == NEXT(p) && history[newest_checkpoint] != mine[p]) ||
			(edit[NEXT(p) + 1] != 0 && names[NEXT(p) + 1] != mine[p])) ->
			what_failed_is_not_history: assert(history[NEXT(p)] != mine[p]);
			forget(p)
		:: else -> forget(p)
#endif
		fi }
	/* Make it durable: committed. */
	:: d_step { phase[p] == syncing ->
#ifndef BROKEN_SYNC
		durable[NEXT(p)] = 1;
#endif
		what_is_committed_is_history: assert(history[NEXT(p)] == mine[p]);
		promised[NEXT(p)] = 1;
		known[p] = known[p] + 1; nonce[p] = mine[p]; mine[p] = 0;
		phase[p] = current }
	od
}

/* Checkpoints at the head; what they cover goes: older checkpoints first, then edits, an hour later. */
#define COVER(n) if :: n <= head && covered[n] == 0 -> covered[n] = clock + 1 :: else fi

#ifdef BROKEN_GC_ORDER
#define IS_ONLY_CHECKPOINT true
#else
#define IS_ONLY_CHECKPOINT (checkpoint[0] + checkpoint[1] + checkpoint[2] + checkpoint[3] == 1)
#endif
#ifdef BROKEN_GC_AGE
#define IS_OLD(n) true
#else
#define IS_OLD(n) (clock + 1 - covered[n] >= HOUR)
#endif
#define REMOVE_CHECKPOINT(n) d_step { checkpoint[n] && newest_checkpoint > n -> checkpoint[n] = 0 }
#ifdef BROKEN_EDIT_ORDER
#define IS_LOWEST(n) true
#else
#define IS_LOWEST(n) (edit[n - 1] == 0) /* the lowest first */
#endif
#define REMOVE_EDIT(n) \
	d_step { edit[n] != 0 && newest_checkpoint >= n && IS_ONLY_CHECKPOINT && IS_OLD(n) && IS_LOWEST(n) -> \
		edit[n] = 0; names[n] = 0; durable[n] = 0 }

proctype collector()
{
end:	do
	:: d_step { head > 0 && !checkpoint[head] && newest_checkpoint < head && durable[head] ->
		checkpoint[head] = 1; newest_checkpoint = head;
		COVER(1); COVER(2); COVER(3) }
	:: REMOVE_CHECKPOINT(0)
	:: REMOVE_CHECKPOINT(1)
	:: REMOVE_CHECKPOINT(2)
	:: REMOVE_EDIT(1)
	:: REMOVE_EDIT(2)
	:: REMOVE_EDIT(3)
	od
}

proctype world()
{
end:	do
	:: d_step { clock < LAST_MINUTE -> clock++ }
	/* A power cut: the last edit may not be there afterwards; every process begins anew. */
	:: atomic { power_cuts < POWER_CUTS ->
		power_cuts++;
		if
		:: head > 0 && !durable[head] && newest_checkpoint < head -> d_step {
			skip;
			committed_is_durable: assert(!promised[head]);
			edit[head % (EDITS + 1)] = 0; names[head % (EDITS + 1)] = 0; history[head % (EDITS + 1)] = 0; head-- }
		:: skip
		fi;
		d_step { durable[head] = 1; forget(0); forget(1) } }
	od
}

init {
	atomic {
		checkpoint[0] = 1; durable[0] = 1;
		run process(0); run process(1); run collector(); run world()
	}
}
