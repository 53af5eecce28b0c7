/* The store's write protocol: segments, claims, masks, closing, compaction, snapshots.
 *
 * Two writers feed one feed into segments. Either may stop for any time between two steps (that is what
 * interleaving means), be killed at any step, or lose its power together with everybody else. A recovery closes
 * what dead writers left open, a compaction consumes closed segments, a reader takes snapshots. A commit is one
 * step here: commit.pml shows why it may be. docs/model.md says which code each step stands for.
 *
 * Messages are bits; "the messages below position P" is the set of the lower bits, so a position is a set, too.
 *
 * -DBROKEN_...: one rule is left out, and one of the named assertions must fail. */

#ifndef MSGS
#define MSGS 2
#endif
#define SEGS 3
#ifndef OPENS
#define OPENS SEGS /* segments that are ever opened */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef POWER_CUTS
#define POWER_CUTS 1
#endif
#ifndef DEPTH
#define DEPTH 2 /* frames in flight */
#endif
#define ALL ((1 << MSGS) - 1)
#define NONE 7 /* no segment */

/* The first frames of `set`, from frame `from` (a bit; 0: none) to the first hole. */
#define RUN(set, from) ((set) & ~((set) + (from)))
/* All messages up to the last one of a run. */
#define UP_TO(run) (((run) == 0) -> 0 : ((run) | ((run) - 1)))

#ifdef BROKEN_HOLE
#define PREFIX(s) (whole[s])
#else
#define PREFIX(s) RUN(whole[s], first[s])
#endif

/* The catalog's head. */
mtype = {absent, open, closed, removed};
mtype state[SEGS] = absent;
byte rows[SEGS];        /* closed: what counts of it */
byte keep[SEGS] = ALL;  /* what its mask, if it has one, does not hide */
bit masked[SEGS];
byte archived;
byte claimant = NONE;   /* of the feed */
byte position;          /* of the feed, as recorded */
byte next_segment;

/* The disk. */
byte whole[SEGS];       /* frames that can be read from the file */
byte durable[SEGS];     /* those of them that survive a power cut */
byte first[SEGS];       /* the first frame's message */
bit paged[SEGS];        /* there is a page */
byte published[SEGS];
byte lock[SEGS];        /* who writes the file: 1, 2; 0: nobody */
bit recovering[SEGS];   /* its recovery runs */

/* What was promised. */
byte acked;
byte shown;    /* by a snapshot of this moment */
byte excepted; /* shown or acked, and masked all the same: see where a feed is taken over, and acks */

byte kills, power_cuts;

/* How a segment is seen by somebody who does not write it. */
#ifdef BROKEN_RECOVERY_LOCK /* recovery keeps readers out: they have the page only */
#define IS_LOCKED(s) (lock[s] != 0 || recovering[s])
#else
#define IS_LOCKED(s) (lock[s] != 0)
#endif
#define CAN_READ(s) (!IS_LOCKED(s) || paged[s] || whole[s] == 0)
#define SEEN(s) (IS_LOCKED(s) -> (paged[s] -> published[s] : 0) : PREFIX(s))

/* Whoever reads the whole file makes it durable first. */
#ifdef BROKEN_READ_UNSYNCED
#define SYNC(s)
#else
#define SYNC(s) if :: !IS_LOCKED(s) -> durable[s] = whole[s] :: else fi
#endif

/* What snapshots may have shown of an open segment. */
#define VISIBLE(s) (IS_LOCKED(s) -> published[s] : RUN(durable[s], first[s]))

/* Invariants 1 and 2, of the head and the disk as they are now. */
byte once, twice, below, visible;
#define COUNT(set) twice = twice | (once & (set)); once = once | (set)
#define COUNT_SEGMENT(s)                                                                           \
	if                                                                                         \
	:: state[s] == closed -> COUNT(rows[s]); visible = visible | rows[s]                       \
	:: state[s] == open ->                                                                     \
		COUNT(PREFIX(s) & keep[s]);                                                        \
		visible = visible | (keep[s] & VISIBLE(s))                                          \
	:: else                                                                                    \
	fi

inline check_store()
{
	once = archived; twice = 0; visible = archived;
	COUNT_SEGMENT(0); COUNT_SEGMENT(1); COUNT_SEGMENT(2);
	below = position;
	if
	:: claimant != NONE -> if :: state[claimant] == open -> below = below | UP_TO(PREFIX(claimant)) :: else fi
	:: else
	fi;
	exactly_once_none_twice: assert(twice == 0);
	exactly_once_none_missing: assert((below & ~once) == 0);
	exactly_once_none_invented: assert((once & ~below) == 0);
	excepted = excepted & ~visible;
	counts_never_fall: assert((shown & ~visible & ~excepted) == 0);
	shown = visible;
	acked_is_durable: assert((acked & ~once & ~excepted) == 0);
	once = 0; twice = 0; below = 0; visible = 0
}

/* `close` of segment s with its `frames`: rows that count, and the feed's position unless it was taken. */
inline close_edit(s, frames)
{
	rows[s] = (frames) & keep[s];
	if
#ifdef BROKEN_CLOSE_POSITION
	:: (frames) != 0 -> position = position | UP_TO(frames)
#else
	:: (frames) != 0 && !masked[s] ->
		position_goes_on: assert(((frames) & position) == 0);
		position = position | UP_TO(frames)
#endif
	:: else
	fi;
	state[s] = ((frames) == 0 -> removed : closed)
}

/* Writers. Their memory is global, for a power cut to wipe it. */
mtype = {idle, reading, committing, named, made, dying};
mtype phase[2] = idle;
byte segment[2] = NONE;  /* open for writing */
byte claims_for[2] = NONE; /* the segment that its claims were committed for last */
bit has[2];              /* the feed is on its list */
bit lost[2];             /* there, and known to be somebody else's */
byte appended[2], done[2]; /* positions: behind the last frame submitted, acked */
byte o_claimant[2] = NONE, o_position[2]; bit o_open[2]; /* what taking over has read */
byte taking[2];          /* the position it found */

#define S segment[w]

inline forget_origin(w)
{
	o_claimant[w] = NONE; o_position[w] = 0; o_open[w] = 0; taking[w] = 0
}

inline forget(w)
{
	phase[w] = idle; segment[w] = NONE; claims_for[w] = NONE;
	has[w] = 0; lost[w] = 0; appended[w] = 0; done[w] = 0;
	forget_origin(w)
}

/* Without feed and segment it makes no difference for which segment claims were committed. */
#define TIDY(w) if :: S == NONE && !has[w] -> claims_for[w] = NONE :: else fi

inline end_process(w)
{
	if
	:: S != NONE -> if :: lock[S] == w + 1 -> lock[S] = 0 :: else fi
	:: else
	fi;
	forget(w)
}

inline name_segment(w)
{
	segment[w] = next_segment;
	state[next_segment] = open;
	next_segment++;
	phase[w] = named
}

#define IN_FLIGHT(w) (appended[w] & ~done[w])
#define NEXT_BIT(p) ((p) + 1)

#ifdef BROKEN_RECHECK
#define IS_CURRENT(w) true
#else
#define IS_CURRENT(w) (claimant == o_claimant[w] && position == o_position[w] && \
	o_open[w] == (claimant != NONE && state[claimant % SEGS] == open))
#endif

#ifdef BROKEN_ACK_EARLY
#define ACKABLE(w) (appended[w] & ~done[w])
#else
#ifdef BROKEN_HOLE
#define ACKABLE(w) (durable[S] & ~done[w] & appended[w])
#else
#define ACKABLE(w) (RUN(durable[S], first[S]) & appended[w] & ~done[w])
#endif
#endif

byte scratch;

proctype writer(byte w)
{
end:	do
	/* Append a frame of one message. What is queued for a lost feed is written, too. */
	:: d_step { phase[w] == idle && S != NONE && has[w] && appended[w] != ALL &&
		(DEPTH > 1 || IN_FLIGHT(w) == 0) ->
		if :: first[S] == 0 -> first[S] = NEXT_BIT(appended[w]) :: else fi;
		appended[w] = appended[w] | NEXT_BIT(appended[w]) }
	/* The kernel writes: a frame in flight can be read, then it is durable. Also while the process is dying. */
	:: atomic { (phase[w] == idle || phase[w] == dying) && S != NONE && (IN_FLIGHT(w) & ~whole[S]) != 0 ->
		scratch = IN_FLIGHT(w) & ~whole[S];
		if
		:: scratch & 1 -> scratch = 1
		:: scratch & 2 -> scratch = 2
		:: scratch & 4 -> scratch = 4
		fi;
		d_step { whole[S] = whole[S] | scratch; scratch = 0; check_store() } }
	:: d_step { (phase[w] == idle || phase[w] == dying) && S != NONE && (whole[S] & ~durable[S]) != 0 ->
		durable[S] = whole[S]; check_store() }
	/* Ack, in order: publish, then tell the source. */
	:: d_step { phase[w] == idle && S != NONE && ACKABLE(w) != 0 ->
		scratch = ACKABLE(w);
		acked_only_when_on_disk: assert((scratch & ~durable[S]) == 0);
		done[w] = done[w] | scratch;
		published[S] = published[S] | scratch;
		acked = acked | scratch;
		excepted = excepted | (scratch & ~keep[S]); /* by an owner that does not know yet */
		scratch = 0;
		check_store() }
	/* Seal: a roll, or a clean end. */
	:: d_step { phase[w] == idle && S != NONE && IN_FLIGHT(w) == 0 && published[S] != 0 ->
		close_edit(S, published[S]);
		lock[S] = 0; S = NONE; TIDY(w);
		check_store() }
	/* The next segment: the feed goes on in it, or is masked there from the start. */
	:: d_step { phase[w] == idle && S == NONE && has[w] && appended[w] != ALL && next_segment < OPENS ->
		name_segment(w);
		if
#ifndef BROKEN_ROLL_CHECK
		:: claimant != claims_for[w] ->
			lost[w] = 1;
#ifndef BROKEN_LOST_MASK
			keep[S] = 0; masked[S] = 1
#endif
#endif
		:: else ->
			roll_finds_its_position: assert(claimant != claims_for[w] || position == done[w]);
			claimant = S
		fi;
		claims_for[w] = S;
		check_store() }
	/* A file for it, unless recovery has closed it meanwhile. */
	:: d_step { phase[w] == named && lock[S] == 0 && !recovering[S] -> lock[S] = w + 1; phase[w] = made }
	:: d_step { phase[w] == made ->
		if
#ifndef BROKEN_STILL_OPEN
		:: state[S] != open -> lock[S] = 0; S = NONE
#endif
		:: else -> paged[S] = 1
		fi;
		phase[w] = idle }
	/* Let go in order: what was written is acked, another may take it. */
	:: d_step { phase[w] == idle && has[w] && IN_FLIGHT(w) == 0 ->
		has[w] = 0; lost[w] = 0; appended[w] = 0; done[w] = 0; TIDY(w) }
	/* Take over: read the catalog ... */
	:: d_step { phase[w] == idle && IN_FLIGHT(w) == 0 && (!has[w] || claimant != claims_for[w]) &&
		(w == 0 || next_segment > 0) /* they are alike: let the first be first */ ->
		o_claimant[w] = claimant; o_position[w] = position;
		o_open[w] = (claimant != NONE && state[claimant % SEGS] == open);
		phase[w] = reading }
	/* ... then the claimant's durable frames ... */
	:: d_step { phase[w] == reading && (!o_open[w] || CAN_READ(o_claimant[w])) ->
		taking[w] = o_position[w];
		if
		:: o_open[w] ->
			SYNC(o_claimant[w]);
			taking[w] = taking[w] | UP_TO(SEEN(o_claimant[w]));
			what_was_shown_is_taken: assert(state[o_claimant[w]] != open ||
				(VISIBLE(o_claimant[w]) & keep[o_claimant[w]] & ~taking[w]) == 0)
		:: else
		fi;
		phase[w] = committing;
		if /* ours already, by the catalog */
		:: o_claimant[w] != NONE && o_claimant[w] == claims_for[w] && (S != NONE || (has[w] && !lost[w])) ->
			has[w] = 1; lost[w] = 0; done[w] = taking[w]; appended[w] = taking[w];
			phase[w] = idle; forget_origin(w)
		:: else
		fi }
	/* ... seal a segment in which the feed is masked ... */
#ifdef BROKEN_TAKE_BACK
#define HIDDEN(w) false
#else
#define HIDDEN(w) (S != NONE && masked[S % SEGS])
#endif
	:: d_step { phase[w] == committing && HIDDEN(w) ->
		close_edit(S, published[S]);
		lock[S] = 0; S = NONE;
		check_store() }
	/* ... and commit position, claim and mask, if what was read is still true. */
	:: d_step { phase[w] == committing && !HIDDEN(w) && (S != NONE || next_segment < OPENS || !IS_CURRENT(w)) ->
		phase[w] = idle;
		if
		:: IS_CURRENT(w) ->
			if
			:: S == NONE -> name_segment(w)
			:: else
			fi;
			if
#ifndef BROKEN_MASK
			:: o_open[w] ->
				/* The exception: what has become visible since it was read. */
				excepted = excepted | (~taking[w] & keep[o_claimant[w]] &
					VISIBLE(o_claimant[w]));
				keep[o_claimant[w]] = keep[o_claimant[w]] & taking[w];
				masked[o_claimant[w]] = 1
#endif
			:: else
			fi;
			position = taking[w];
			claimant = S; claims_for[w] = S;
			has[w] = 1; lost[w] = 0; done[w] = taking[w]; appended[w] = taking[w]
		:: else
		fi;
		forget_origin(w);
		check_store() }
	/* Killed: what is in flight may yet land; then the kernel lets go of the lock, and the process begins anew. */
	:: d_step { kills < KILLS && phase[w] != dying ->
		kills++;
		if
		:: phase[w] == idle && S != NONE && (IN_FLIGHT(w) & ~durable[S]) != 0 -> phase[w] = dying
		:: else -> end_process(w)
		fi }
	:: d_step { phase[w] == dying -> end_process(w) }
	od
}

/* Recovery. It reads under a shared lock: writers stay out, readers do not. */
byte patient = NONE, found;

#ifdef BROKEN_RECOVERY_UNLOCKED
#define IS_ABANDONED(s) (state[s] == open && !recovering[s])
#else
#define IS_ABANDONED(s) (state[s] == open && lock[s] == 0)
#endif

#define BEGIN_RECOVERY(s)                                                                          \
	d_step { patient == NONE && IS_ABANDONED(s) ->                                             \
		SYNC(s); found = PREFIX(s); recovering[s] = 1; patient = s;                        \
		check_store() }

proctype recovery()
{
end:	do
	:: BEGIN_RECOVERY(0)
	:: BEGIN_RECOVERY(1)
	:: BEGIN_RECOVERY(2)
	:: d_step { patient != NONE && recovering[patient % SEGS] ->
		if
		:: state[patient] == open -> close_edit(patient, found); check_store()
		:: else
		fi;
		recovering[patient] = 0; found = 0; patient = NONE }
	od
}

/* A reader that takes one snapshot after the other. */
bit r_busy;
byte r_open, r_unread, r_once, r_twice, r_floor;
byte r_keep[SEGS];

/* All that is closed becomes one archive: what counts. */
#define CONSUME(s)                                                                                 \
	if                                                                                         \
	:: state[s] == closed -> archived = archived | rows[s]; rows[s] = 0; state[s] = removed; UNREAD(s) \
	:: else                                                                                    \
	fi
/* What is in a file that nobody will look at makes no difference. */
#define UNREAD(s)                                                                                  \
	if                                                                                         \
	:: r_open & (1 << s) -> skip                                                               \
	:: else ->                                                                                 \
		whole[s] = 0; durable[s] = 0; first[s] = 0; published[s] = 0; paged[s] = 0;        \
		keep[s] = 0; masked[s] = 0                                                         \
	fi

proctype compaction()
{
end:	do
	:: d_step { state[0] == closed || state[1] == closed || state[2] == closed ->
		CONSUME(0); CONSUME(1); CONSUME(2);
		check_store() }
	od
}

/* The reader's steps. */
#define R_COUNT(set) r_twice = r_twice | (r_once & (set)); r_once = r_once | (set)
#define R_BEGIN(s)                                                                 \
	if                                                                         \
	:: state[s] == closed -> R_COUNT(rows[s])                                  \
	:: state[s] == open -> r_open = r_open | (1 << s); r_keep[s] = keep[s]     \
	:: else                                                                    \
	fi
#ifdef BROKEN_GONE
#define IS_GONE(s) false
#else
#define IS_GONE(s) (state[s] == removed)
#endif
#ifdef BROKEN_SECOND_READ
#define R_SAME(s) true
#else
#define R_SAME(s) (!(r_open & (1 << (s))) || (!IS_GONE(s) && (state[s] == removed || r_keep[s] == keep[s])))
#endif

#define R_ALL_SAME (R_SAME(0) && R_SAME(1) && R_SAME(2))

#define CLEAN(s) if :: state[s] == removed -> UNREAD(s) :: else fi

inline r_forget()
{
	r_busy = 0; r_open = 0; r_unread = 0; r_once = 0; r_twice = 0; r_floor = 0;
	r_keep[0] = 0; r_keep[1] = 0; r_keep[2] = 0;
}

/* The durable length of an open segment, and what of it the version's masks leave. */
#define R_READ(s)                                                                                  \
	d_step { r_busy && (r_unread & ((2 << s) - 1)) == (1 << s) && CAN_READ(s) ->                                 \
		SYNC(s);                                                                           \
		R_COUNT(SEEN(s) & r_keep[s]);                                                      \
		r_unread = r_unread & ~(1 << s);                                                   \
		check_store() }

proctype reader()
{
end:	do
	/* The catalog ... */
	:: d_step { !r_busy ->
		r_busy = 1;
		r_floor = shown;
		R_COUNT(archived);
		R_BEGIN(0); R_BEGIN(1); R_BEGIN(2);
		r_unread = r_open }
	/* ... the lengths, one after the other, ... */
	:: R_READ(0)
	:: R_READ(1)
	:: R_READ(2)
	/* ... and the catalog again: the answer, or all anew. */
	:: d_step { r_busy && r_unread == 0 ->
		if
		:: R_ALL_SAME ->
			snapshot_shows_no_row_twice: assert(r_twice == 0);
			snapshot_has_no_gap: assert((r_once & (r_once + 1)) == 0);
			snapshot_not_older_than_its_begin: assert((r_floor & ~r_once & ~excepted) == 0);
			snapshot_not_newer_than_its_end: assert((r_once & ~shown & ~excepted) == 0)
		:: else
		fi;
		r_forget();
		CLEAN(0); CLEAN(1); CLEAN(2);
		check_store() }
	od
}

/* All lose their power at once: what was not durable may be gone. */
#define CUT(s)                                                                                     \
	whole[s] = (scratch -> whole[s] : durable[s]); durable[s] = whole[s];                      \
	lock[s] = 0; recovering[s] = 0; paged[s] = 0

proctype power()
{
end:	do
	:: atomic { power_cuts < POWER_CUTS ->
		power_cuts++;
		if :: scratch = 0 :: scratch = 1 fi;
		d_step {
			CUT(0); CUT(1); CUT(2);
			scratch = 0;
			forget(0); forget(1); r_forget();
			patient = NONE; found = 0;
			check_store() } }
	od
}

#ifdef WITHOUT_READER
#define RUN_READER
#else
#define RUN_READER run reader();
#endif

init {
	atomic { run writer(0); run writer(1); run recovery(); run compaction(); RUN_READER run power() }
}
