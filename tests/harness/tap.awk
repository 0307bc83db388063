# SPDX-License-Identifier: Apache-2.0
#
# tap.awk - judge one TAP log: prints what failed and ends with "SUM passed failed skipped"
#
# -v status=N: exit status of what wrote it; -v name=WHAT: how to call it.
# A program that dies in the middle has promised more results than it gave, or gave none: both are
# failures, so that a crash can never look like success.

{ sub(/\r+$/, "") }
/^1\.\.[0-9]+/ { planned += substr($0, 4) + 0 }
# cmocka writes a skipped test as "not ok 8 # SKIP name".
/^ok .*# *[Ss][Kk][Ii][Pp]/ || /^not ok [0-9]+ *# *[Ss][Kk][Ii][Pp]/ { skipped++; next }
/^ok / { passed++ }
/^not ok / { failed++; sub(/^not ok [0-9]* *-? */, ""); print "  FAIL  " name ": " $0 }
/^Bail out!/ { failed++; print "  FAIL  " name ": " $0 }

END {
	missing = planned - passed - failed - skipped
	if (missing > 0) {
		failed += missing
		print "  FAIL  " name ": " missing " of " planned " results are missing"
	}
	if (status != 0 && !failed) {
		failed++
		print "  FAIL  " name ": exit status " status
	}
	if (!passed && !failed && !skipped) {
		failed++
		print "  FAIL  " name ": no results"
	}
	print "SUM " passed + 0 " " failed + 0 " " skipped + 0
}
