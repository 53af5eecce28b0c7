/* Replacing a span of time: held segments, tombstones, and compactions beside them.
 *
 * File 0 is closed, with a row of the span and another one. A writer puts the span's new row into a held segment and closes
 * that with a tombstone, in one edit; another import writes a row of the span into a segment of its own; two compactions merge
 * what is closed (as if their lock had failed them); a recovery drops what a dead writer held. Every process may be killed at any step
 * and begin anew. A commit is one step: commit.pml. A snapshot is one version of the catalog: claims.pml. docs/model.md says
 * which code each step stands for.
 *
 * -DBROKEN_...: one rule is left out, and one of the named assertions must fail. */

#ifndef KILLS
#define KILLS 2
#endif
#ifndef EDITS
#define EDITS 10 /* no compaction begins behind them */
#endif
#define OLD 1   /* of the span, in file 0 */
#define OTHER 2 /* of another */
#define NEW 4   /* of the span, in the held segment */
#define LATE 8  /* of the span, by the other import */
#define SPAN (OLD | NEW | LATE)
#define FILES 5
#define HELD 1
#define IMPORTED 2
#define ARCHIVE (3 + i)

/* The catalog's head. */
mtype = {absent, open, held, closed};
mtype state[FILES] = absent;
byte rows[FILES];
byte edit[FILES]; /* that closed or added the file */
byte head;
byte before;      /* the tombstone: the span's rows in files of an edit before it are removed; 0: there is none */

/* What was said to be done. */
bit replaced;
byte acked = OLD | OTHER; /* rows that must be seen */
byte kills;

#ifdef BROKEN_OWN_EDIT
#define IS_REMOVED(f) (before != 0 && edit[f] <= before)
#else
#define IS_REMOVED(f) (before != 0 && edit[f] < before)
#endif
#define COUNTS(f) (IS_REMOVED(f) -> (rows[f] & ~SPAN) : rows[f])

/* What a snapshot of this moment shows. */
byte once, twice;
#define COUNT(set) twice = twice | (once & (set)); once = once | (set)
#ifdef BROKEN_HOLD
#define HAS_OPEN(f) (state[f] == open || state[f] == held)
#else
#define HAS_OPEN(f) (state[f] == open)
#endif
#define COUNT_FILE(f) if :: state[f] == closed -> COUNT(COUNTS(f)) :: HAS_OPEN(f) -> COUNT(rows[f]) :: else fi

inline check_store()
{
	skip;
	COUNT_FILE(0); COUNT_FILE(1); COUNT_FILE(2); COUNT_FILE(3); COUNT_FILE(4);
	replaced_in_one_step: assert((once & (OLD | NEW)) == (replaced -> NEW : OLD));
	exactly_once: assert(twice == 0 && once == acked);
	once = 0; twice = 0
}

#define CLOSE(f) head++; edit[f] = head; state[f] = closed

/* The steps of each process. */
mtype = {off, opened, written, working, done};
mtype p_phase = off, w_phase = off, c_phase[2] = off;

proctype replacement()
{
end:	do
	:: d_step { p_phase == off && !replaced && state[HELD] == absent -> head++; state[HELD] = held; p_phase = opened }
	:: d_step { p_phase == opened -> rows[HELD] = NEW; p_phase = written; check_store() }
	/* One edit: the segment is closed, and what it replaces is removed. */
	:: d_step { p_phase == written ->
		if
		:: state[HELD] == held ->
			CLOSE(HELD);
			before = head;
			/* A row that is in an open segment stays. */
			acked = (acked & ~OLD & ~(state[IMPORTED] == open -> 0 : LATE)) | NEW;
			replaced = 1;
		:: else
		fi;
		p_phase = off;
		check_store() }
	:: d_step { p_phase != off && kills < KILLS -> kills++; p_phase = off }
	od
}

/* When its writer is dead. */
proctype recovery()
{
end:	do
	:: d_step { state[HELD] == held && p_phase == off ->
#ifdef BROKEN_DROP
		CLOSE(HELD);
#else
		head++; state[HELD] = absent; rows[HELD] = 0;
#endif
		check_store() }
	od
}

proctype import()
{
end:	do
	:: d_step { w_phase == off && state[IMPORTED] == absent -> head++; state[IMPORTED] = open; w_phase = opened }
	:: d_step { w_phase == opened -> rows[IMPORTED] = LATE; acked = acked | LATE; w_phase = written; check_store() }
	/* By itself, or by its recovery. */
	:: d_step { w_phase == written -> CLOSE(IMPORTED); w_phase = done; check_store() }
	od
}

byte c_inputs[2], c_rows[2], c_before[2], c_left;
#define BIT(f) (1 << f)
/* Any of the closed files. */
#define TAKE(f) if :: state[f] == closed -> c_inputs[i] = c_inputs[i] | BIT(f); c_rows[i] = c_rows[i] | COUNTS(f) :: true fi
#define IS_THERE(f) (!(c_inputs[i] & BIT(f)) || state[f] == closed)
#define GO(f) if :: c_inputs[i] & BIT(f) -> state[f] = absent; rows[f] = 0; edit[f] = 0 :: else fi
#define STAYS_FOR(f) (state[f] == closed && edit[f] < before)

inline forget(i)
{
	c_inputs[i] = 0; c_rows[i] = 0; c_before[i] = 0; c_phase[i] = off
}

proctype compaction(byte i)
{
end:	do
	:: atomic { c_phase[i] == off && state[ARCHIVE] == absent && head < EDITS ->
		TAKE(0); TAKE(1); TAKE(2); TAKE(3); TAKE(4);
		c_before[i] = before;
		c_phase[i] = working }
	/* One edit, if its inputs are there and no tombstone has come since they were read. */
	:: d_step { c_phase[i] == working ->
		if
#ifdef BROKEN_TOMBSTONE
		:: c_inputs[i] != 0 && IS_THERE(0) && IS_THERE(1) && IS_THERE(2) && IS_THERE(3) && IS_THERE(4) ->
#else
		:: c_inputs[i] != 0 && IS_THERE(0) && IS_THERE(1) && IS_THERE(2) && IS_THERE(3) && IS_THERE(4) &&
		   before == c_before[i] ->
#endif
			GO(0); GO(1); GO(2); GO(3); GO(4);
			rows[ARCHIVE] = c_rows[i];
			CLOSE(ARCHIVE);
			/* A tombstone stands as long as there is a file that it may touch. */
#ifdef BROKEN_STANDS
			before = 0
#else
			before = ((STAYS_FOR(0) || STAYS_FOR(1) || STAYS_FOR(2) || STAYS_FOR(3) || STAYS_FOR(4)) -> before : 0)
#endif
		:: else
		fi;
		forget(i);
		check_store() }
	:: d_step { c_phase[i] != off && kills < KILLS -> kills++; forget(i) }
	od
}

init {
	d_step { rows[0] = OLD | OTHER; CLOSE(0) }
	atomic { run replacement(); run recovery(); run import(); run compaction(0); run compaction(1) }
}
