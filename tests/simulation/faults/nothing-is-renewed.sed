# collector/lane.c
# What Redis lost and gets again keeps the version that nobody looks at.
s/? "1" : "0", 1}/? "0" : "0", 1}/
