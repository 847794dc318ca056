# lib/core/stamp.c
# > for >=: the admission clock gives a stamp twice.
s/if (\*last >= now &&/if (*last > now \&\&/
